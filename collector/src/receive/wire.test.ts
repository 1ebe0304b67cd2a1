import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, retryDelayMs } from './test-receiver.ts';
import { encodeExportResponse, encodeStatus, toExportResponseJson, toStatusJson } from './wire.ts';

describe('the messages we write by hand', () => {
  it('give an export response that protobufjs reads back', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.string({ unit: 'grapheme' }), (rejectedSpans, message) => {
        const { partialSuccess = {} } = decode('Response', encodeExportResponse({ rejectedSpans, message })) as {
          partialSuccess?: { rejectedSpans?: number; errorMessage?: string };
        };
        expect(partialSuccess.rejectedSpans ?? 0).toBe(rejectedSpans);
        expect(partialSuccess.errorMessage ?? '').toBe(message);
      }),
    );
  });

  it('give a status with RetryInfo that protobufjs reads back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.string({ unit: 'grapheme' }),
        fc.nat(10_000_000),
        (code, message, delayMs) => {
          const bytes = encodeStatus({ grpcCode: code, httpStatus: 0, message, retryAfterMs: delayMs });
          expect(decode('Status', bytes)).toMatchObject(message === '' ? { code } : { code, message });
          expect(retryDelayMs(bytes)).toBe(delayMs === 0 ? undefined : delayMs);
        },
      ),
    );
  });

  it('are empty for full success', () => {
    expect(encodeExportResponse({ rejectedSpans: 0, message: '' })).toEqual(Buffer.alloc(0));
    expect(toExportResponseJson({ rejectedSpans: 0, message: '' })).toEqual({});
  });

  it('have the JSON forms of proto3: int64 as text, durations in seconds', () => {
    expect(toExportResponseJson({ rejectedSpans: 3, message: 'zero ids' })).toEqual({
      partialSuccess: { rejectedSpans: '3', errorMessage: 'zero ids' },
    });
    expect(toStatusJson({ grpcCode: 14, httpStatus: 503, message: 'full', retryAfterMs: 1250 })).toEqual({
      code: 14,
      message: 'full',
      details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '1.250s' }],
    });
    expect(toStatusJson({ grpcCode: 3, httpStatus: 400, message: 'bad', retryAfterMs: 0 })).toEqual({
      code: 3,
      message: 'bad',
    });
  });
});
