import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Secret } from '../base/secret.ts';
import { ApiProblem } from './problem.ts';

/**
 * Request headers in, a refusal or nothing out. A collector on loopback can be reached from any web page that its user
 * opens, so the Host header is checked (a rebound DNS name must not be answered) and other origins change nothing.
 */

/** Headers of every answer, errors included. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]'];
const ANY_ADDRESS = new Set(['0.0.0.0', '::']);
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
const JSON_TYPE = /^application\/json(?:\s*;\s*charset=utf-8)?$/i;

export interface Guard {
  /** @throws ApiProblem foreign-host */
  checkHost(headers: IncomingHttpHeaders): void;
  /** @throws ApiProblem foreign-origin */
  checkOrigin(method: string, headers: IncomingHttpHeaders): void;
  /** @throws ApiProblem unauthenticated */
  checkToken(headers: IncomingHttpHeaders): void;
}

export function createGuard(settings: {
  readonly address: string;
  readonly allowedHosts: readonly string[];
  readonly token: Secret;
}): Guard {
  const bound = ANY_ADDRESS.has(settings.address) ? [] : [toHostName(settings.address)];
  const hosts = new Set([...LOOPBACK_HOSTS, ...bound, ...settings.allowedHosts].map(withoutPort));
  const expected = digest(settings.token.reveal());

  return {
    checkHost({ host }) {
      if (host === undefined || !hosts.has(withoutPort(host))) {
        throw new ApiProblem('foreign-host', 'the Host header names no host of this collector: see allowedHosts');
      }
    },
    checkOrigin(method, { host, origin, 'sec-fetch-site': site }) {
      if (SAFE_METHODS.has(method)) return;
      const isOwn = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
      const isSameSite = site === undefined || site === 'same-origin' || site === 'none';
      if (!isOwn || !isSameSite) {
        throw new ApiProblem('foreign-origin', 'the request comes from a page of another origin');
      }
    },
    checkToken({ authorization }) {
      const given = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1];
      // Digests have one length, so that comparing them tells nothing about the token.
      if (given === undefined || !timingSafeEqual(digest(given), expected)) {
        throw new ApiProblem('unauthenticated', 'send the console token as `authorization: Bearer <token>`', {
          headers: { 'www-authenticate': 'Bearer realm="spanwarden"' },
        });
      }
    },
  };
}

/** @throws ApiProblem unsupported-media-type: a page of another origin can send any other type without asking */
export function checkJsonType(headers: IncomingHttpHeaders): void {
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) {
    throw new ApiProblem('unsupported-media-type', 'send the body as `content-type: application/json`');
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const toHostName = (address: string): string => (address.includes(':') ? `[${address}]` : address);

function withoutPort(host: string): string {
  return host.replace(/:\d{1,5}$/, '').toLowerCase();
}
