import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDocument } from './openapi.ts';
import { toRoutes } from './routes.ts';

const FILE = join(import.meta.dirname, 'openapi.json');
const document = JSON.parse(JSON.stringify(createDocument())) as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};
interface Operation {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly parameters?: readonly { name: string; in: string; schema: unknown }[];
  readonly responses: Record<string, unknown>;
}

describe('the OpenAPI document', () => {
  it('that is committed is the one that the routes give (UPDATE_OPENAPI=1 writes it)', () => {
    if (process.env['UPDATE_OPENAPI'] === '1') writeFileSync(FILE, `${JSON.stringify(document, null, 2)}\n`);
    expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual(document);
  });

  it('has exactly the routes that the server has', () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(
      toRoutes(() => ({}))
        .map(({ method, path }) => `${method} ${path}`)
        .sort(),
    );
  });

  it('has every path of the outside contract', () => {
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining([
        '/healthz',
        '/readyz',
        '/metrics',
        '/api/v1/findings',
        '/api/v1/findings/{id}',
        '/api/v1/operations',
        '/api/v1/call-graph',
        '/api/v1/traces/{traceId}',
        '/api/v1/openapi.json',
      ]),
    );
  });

  it('asks for the token under /api and nowhere else', () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { security, responses } of Object.values(operations)) {
        expect(security).toEqual(path.startsWith('/api/') ? [{ token: [] }] : []);
        expect('401' in responses).toBe(path.startsWith('/api/'));
      }
    }
  });

  it('refers only to schemas that it has, and describes every parameter', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(10);
    for (const [, name] of references) expect(document.components.schemas).toHaveProperty(name!);
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { parameters = [] } of Object.values(operations)) {
        const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => `{${name}}`);
        expect(inPath).toEqual([...path.matchAll(/\{\w+\}/g)].map(([name]) => name));
        for (const { schema } of parameters) expect(schema).toMatchObject({ type: expect.any(String) });
      }
    }
  });

  it('names each operation once', () => {
    const ids = Object.values(document.paths).flatMap((operations) =>
      Object.values(operations).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('says nothing about how our own code treats a value', () => {
    expect(JSON.stringify(document)).not.toMatch(/readOnly|\$schema|"\$id"/);
  });
});
