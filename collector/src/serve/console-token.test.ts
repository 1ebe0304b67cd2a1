import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../base/secret.ts';
import { openConsoleToken } from './console-token.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanwarden-token-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the console token', () => {
  it('is made once, of 256 random bits, and stored for its owner alone', () => {
    const folder = join(directory, 'data');
    const first = openConsoleToken(folder);
    expect(first.created).toBe(true);
    expect(Buffer.from(first.token.reveal(), 'base64url')).toHaveLength(32);
    expect(readdirSync(folder)).toEqual(['console-token']);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'console-token')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'console-token'), 'utf8')).toBe(`${first.token.reveal()}\n`);

    const second = openConsoleToken(folder);
    expect(second.created).toBe(false);
    expect(second.token.reveal()).toBe(first.token.reveal());
    expect(openConsoleToken(join(directory, 'other')).token.reveal()).not.toBe(first.token.reveal());
  });

  it('that is configured wins, and is not stored', () => {
    const { token, created } = openConsoleToken(directory, new Secret('a-configured-token'));
    expect([token.reveal(), created, readdirSync(directory)]).toEqual(['a-configured-token', false, []]);
  });

  it('that was emptied is not taken for a token', () => {
    writeFileSync(join(directory, 'console-token'), '\n');
    expect(() => openConsoleToken(directory)).toThrow(/is empty: delete it to get a new token/);
  });

  it('does not print itself', () => {
    const opened = openConsoleToken(directory);
    expect(inspect(opened) + JSON.stringify(opened)).not.toContain(opened.token.reveal());
  });
});
