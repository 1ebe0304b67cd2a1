import { Field, type Scalar, type Value } from '@spanwarden/rules';
import type { Pseudonym } from '../base/pseudonym.ts';
import { isCoarsePrefix, parseAddress, toPrefix } from './addresses.ts';
import type { Action, Canonical } from './attribute-actions.ts';
import { type Category, MARKS, markOf } from './findings.ts';
import { isPaymentCard } from './personal-data.ts';
import { scrubGraphql, scrubQueryText } from './scrub-query-text.ts';
import { classifyText, KEEP_DOTTED, scrubText } from './scrub-text.ts';
import { type Authority, isPlainPath, type Params, splitHostPort, UrlScrubber } from './scrub-url.ts';
import {
  canonicalDbSystem,
  canonicalMessagingOperation,
  canonicalProtocolVersion,
  canonicalRpcStatus,
  canonicalTransport,
  DERIVED_RANK,
} from './semconv-versions.ts';
import type { Slots } from './slots.ts';
import { type Side, Verdict } from './verdict.ts';

export interface JudgeSettings {
  /** Undefined without a key: identities are dropped, only their presence is recorded. */
  readonly pseudonym: Pseudonym | undefined;
  readonly pseudonymKeyId: string;
  readonly keepClientAddress: 'full' | 'prefix' | 'hash';
  readonly attributeValueCharsMax: number;
}

const CANONICAL: Readonly<Record<Canonical, (value: string) => string>> = {
  'db-system': canonicalDbSystem,
  transport: canonicalTransport,
  'protocol-version': canonicalProtocolVersion,
  'messaging-operation': canonicalMessagingOperation,
  'rpc-status': canonicalRpcStatus,
  method: (value) => (/^[a-z]{2,16}$/.test(value) ? value.toUpperCase() : value),
};

const HMAC_CHARS = 22;
const HEX_DIGEST = /^[0-9a-f]{32,64}$/;

/** True for 16 bytes of HMAC as base64url, or a digest in hex. */
function isPseudonym(text: string): boolean {
  if (text.length !== HMAC_CHARS) return HEX_DIGEST.test(text);
  for (let i = 0; i < HMAC_CHARS; i++) {
    const code = text.charCodeAt(i);
    const letter = (code | 32) >= 97 && (code | 32) <= 122;
    if (!letter && !(code >= 48 && code <= 57) && code !== 45 && code !== 95) return false;
  }
  return true;
}

const DIGITS = /^-?\d{1,15}$/;
const LIST_TEXTS_MAX = 128;
/** Of a body, for its classification. */
const BODY_CHARS_MAX = 65_536;
const CUT_WORD_CHARS_MAX = 128;
const SIDES_MAX = 1024;
const NO_SIDES: readonly Side[] = [];
const NOTHING = new Verdict(undefined);

/** Both lists in one; most are empty, and then nothing is copied. */
function joined<T>(first: readonly T[], second: readonly T[]): readonly T[] {
  if (second.length === 0) return first;
  return first.length === 0 ? second : [...first, ...second];
}

/**
 * Says what becomes of a text under an action: value in, verdict out, nothing remembered. What it returns holds no
 * secret and no personal value.
 */
export class Judge {
  readonly #settings: JudgeSettings;
  readonly #slots: Slots;
  readonly #present: Verdict;
  readonly #keyId: Verdict;
  readonly #urls = new UrlScrubber();
  readonly #authorities = new WeakMap<Authority, { readonly rank: number; readonly sides: readonly Side[] }>();
  readonly #queries = new Map<string, Side>();
  readonly #params = new Map<string, readonly Side[]>();

  constructor(settings: JudgeSettings, slots: Slots) {
    this.#settings = settings;
    this.#slots = slots;
    this.#present = new Verdict(true);
    this.#keyId = new Verdict(settings.pseudonymKeyId);
  }

  /** `raw` may be cut: a value is at most attributeValueCharsMax characters long. */
  text(action: Action, rank: number, raw: string): Verdict {
    const text = action.do === 'body' ? raw.slice(0, BODY_CHARS_MAX) : this.#cut(raw);
    const found: Category[] = [];
    switch (action.do) {
      case 'scrub':
        return new Verdict(scrubText(text, found), found);
      case 'scrub-version':
        return new Verdict(scrubText(text, found, KEEP_DOTTED), found);
      case 'drop':
        return new Verdict(undefined, [action.category]);
      case 'discard':
        return NOTHING;
      case 'mask':
        return text === '' ? new Verdict('') : new Verdict(markOf(action.category), [action.category]);
      case 'pseudonym':
        return this.#pseudonym(action.domain, action.trusted, text);
      case 'body':
        return this.#body(action.direction, text);
      case 'credential-header':
        return this.#credentialHeader(action.authorization, text);
      case 'server-address':
        return this.#serverAddress(text, rank);
      case 'client-address':
        return this.#clientAddress(text, action.peer);
      case 'url':
        return this.#url(action.part, text, rank);
      case 'query-text':
        return this.#queryText(text);
      case 'graphql': {
        const { text: masked, literals } = scrubGraphql(text);
        if (literals > 0) found.push('query_literal');
        return new Verdict(scrubText(masked, found), found);
      }
      case 'canonical':
        return new Verdict(CANONICAL[action.by](scrubText(text, found, KEEP_DOTTED)), found);
      case 'number':
        if (!DIGITS.test(text)) return new Verdict(scrubText(text, found), found);
        return this.number(action, rank, Number(text)) ?? new Verdict(Number(text));
      case 'list':
        return this.#splitList(text);
      case 'hold':
        return new Verdict(undefined, found, [
          { slot: this.#slots.rpcService, rank, verdict: new Verdict(scrubText(text, found), found) },
        ]);
    }
  }

  /** A number as it came, unless its digits are a card's or its name is a person's. */
  number(action: Action, rank: number, value: number): Verdict | undefined {
    if (action.do === 'scrub' || action.do === 'number' || action.do === 'scrub-version') {
      if (value < 1e12 || !Number.isSafeInteger(value) || !isPaymentCard(String(value))) return undefined;
      return new Verdict(MARKS.payment_card!, ['payment_card']);
    }
    // "token: 17" counts tokens; a number under the other names is the datum itself.
    if (action.do === 'mask' && action.category === 'secret' && Math.abs(value) < 1e3) return undefined;
    return this.text(action, rank, String(value));
  }

  /** A flag tells nothing about a person, whatever its name; what must never come from the wire is discarded. */
  boolean(action: Action, rank: number, value: boolean): Verdict | undefined {
    return action.do === 'discard' || action.do === 'drop' ? this.text(action, rank, String(value)) : undefined;
  }

  list(action: Action, rank: number, items: readonly Scalar[]): Verdict {
    if (action.do !== 'scrub' && action.do !== 'scrub-version' && action.do !== 'list') {
      // A header is a list of texts; one verdict on the whole keeps every special treatment in one place.
      return this.text(action, rank, items.join(','));
    }
    const found: Category[] = [];
    const keep = action.do === 'scrub-version' ? KEEP_DOTTED : 0;
    const clean = items.map((item) =>
      typeof item === 'string' ? scrubText(this.#cut(item), found, keep) : this.#item(item, found),
    );
    return new Verdict(clean, found);
  }

  /** Scrubbed before it is split: the parts of a phone number or the lines of a key give no detector a hold. */
  #splitList(text: string): Verdict {
    const found: Category[] = [];
    const parts = scrubText(text, found).split(/[\s,]+/, LIST_TEXTS_MAX);
    return new Verdict(
      parts.filter((part) => part !== ''),
      found,
    );
  }

  #item(item: number | boolean, found: Category[]): Scalar {
    if (typeof item === 'boolean' || item < 1e12 || !isPaymentCard(String(item))) return item;
    found.push('payment_card');
    return MARKS.payment_card!;
  }

  /** Cut text must not end in half a secret that no pattern knows any more: the last, unfinished word goes too. */
  #cut(text: string): string {
    const max = this.#settings.attributeValueCharsMax;
    if (text.length <= max) return text;
    let to = max;
    while (to > 0 && to > max - CUT_WORD_CHARS_MAX && !/[\s,;&/]/.test(text[to - 1]!)) to--;
    return text.slice(0, to);
  }

  #side(field: number, value: Value, rank = DERIVED_RANK): Side {
    return { slot: this.#slots.field(field), rank, verdict: new Verdict(value) };
  }

  #pseudonym(domain: Parameters<Pseudonym>[0], trusted: boolean, text: string): Verdict {
    if (text === '') return NOTHING;
    // A German IBAN has 22 characters too.
    if (trusted && isPseudonym(text) && classifyText(text).length === 0) {
      // Kept only on spans of our own instrumentation when it could also be a raw session id; see SpanRow.finish.
      return domain === 'session' ? this.#hashed(domain, text, text) : new Verdict(text);
    }
    return this.#hashed(domain, text, undefined);
  }

  #hashed(domain: Parameters<Pseudonym>[0], text: string, trustedText: string | undefined): Verdict {
    const name = domain === 'session' ? 'apisec.session.present' : 'apisec.principal.present';
    const { pseudonym } = this.#settings;
    const trusted: Side[] =
      trustedText === undefined
        ? []
        : [{ slot: this.#slots.trustedSession, rank: 0, verdict: new Verdict(trustedText) }];
    if (pseudonym === undefined) {
      const present: Side = { slot: this.#slots.of(name), rank: DERIVED_RANK, verdict: this.#present };
      return new Verdict(undefined, ['identity'], [present, ...trusted]);
    }
    const keyId: Side = { slot: this.#slots.field(Field.principalKeyId), rank: DERIVED_RANK, verdict: this.#keyId };
    return new Verdict(pseudonym(domain, text), ['identity'], [keyId, ...trusted]);
  }

  #body(direction: 'request' | 'response' | '', text: string): Verdict {
    const counts = new Map<Category, number>();
    for (const category of classifyText(text)) counts.set(category, (counts.get(category) ?? 0) + 1);
    const sides: Side[] = [];
    if (direction !== '') {
      for (const [category, count] of counts) {
        const slot = this.#slots.of(`apisec.${direction}.data.${category}`);
        sides.push({ slot, rank: DERIVED_RANK, verdict: new Verdict(count) });
      }
    }
    return new Verdict(undefined, ['body', ...counts.keys()], sides);
  }

  #credentialHeader(authorization: boolean, text: string): Verdict {
    const sides: Side[] = [];
    const space = text.indexOf(' ');
    if (authorization && text !== '') {
      const scheme = space < 0 ? 'other' : text.slice(0, space).toLowerCase();
      const known = scheme === 'bearer' || scheme === 'basic' || scheme === 'digest' ? scheme : 'other';
      sides.push(this.#side(Field.authScheme, known));
      const { pseudonym } = this.#settings;
      if (pseudonym !== undefined)
        sides.push(this.#side(Field.tokenId, pseudonym('token', text.slice(space + 1).trim())));
    }
    return new Verdict(undefined, ['credential_header'], sides);
  }

  #serverAddress(text: string, rank: number): Verdict {
    const address = parseAddress(text);
    const found: Category[] = [];
    const { host, port } =
      address === undefined
        ? splitHostPort(text)
        : splitHostPort(text.includes('.') || text.startsWith('[') ? text : '');
    const sides = port > 0 ? [this.#side(Field.serverPort, port, DERIVED_RANK + rank)] : [];
    if (address !== undefined) return new Verdict(address.text, found, sides);
    return new Verdict(scrubText(host, found, KEEP_DOTTED), found, sides);
  }

  #clientAddress(text: string, peer: boolean): Verdict {
    const address = parseAddress(text);
    if (address === undefined) {
      if (isCoarsePrefix(text) || isPseudonym(text)) return new Verdict(text);
      const found: Category[] = [];
      return new Verdict(scrubText(text, found), found);
    }
    const slot = peer ? this.#slots.peerPublic : this.#slots.clientPublic;
    const sides: Side[] = [{ slot, rank: 0, verdict: new Verdict(address.scope === 'public') }];
    const { keepClientAddress, pseudonym } = this.#settings;
    // Loopback and link-local name no one, and rules look for them.
    if (address.scope === 'loopback' || address.scope === 'link-local') return new Verdict(address.text, [], sides);
    if (keepClientAddress === 'full') return new Verdict(address.text, ['client_address'], sides);
    if (keepClientAddress === 'prefix') return new Verdict(toPrefix(address), ['client_address'], sides);
    return new Verdict(pseudonym?.('ip', address.text), ['client_address'], sides);
  }

  #url(part: 'full' | 'target' | 'path' | 'query', text: string, rank: number): Verdict {
    if (part === 'query') {
      const params = this.#urls.query(text);
      return new Verdict(params.text, params.found, this.#paramSides(params));
    }
    if (part === 'path' && isPlainPath(text)) return new Verdict(text);
    // Some frameworks record the query in the path, or a whole URL where a path belongs.
    if (part === 'path' && !text.includes('?') && !text.includes('#') && !text.includes('://')) {
      const path = this.#urls.path(text);
      return new Verdict(path.text, path.found, this.#exposedSides(path.exposed));
    }
    const { authority, path, params, fragment } = this.#urls.url(text);
    const found = joined(joined(authority.found, path.found), joined(params.found, fragment.found));
    const exposed = joined(joined(authority.exposed, path.exposed), fragment.exposed);
    const from = part === 'full' ? DERIVED_RANK + rank : rank;
    const sides: Side[] = [];
    if (part === 'full') sides.push(...this.#authoritySides(authority, from));
    if (path.text !== '' && part !== 'path') sides.push(this.#side(Field.urlPath, path.text, from));
    if (params.text !== '') sides.push(this.#querySide(params.text, from), ...this.#paramSides(params));
    if (exposed.length > 0) sides.push(...this.#exposedSides(exposed));
    if (part === 'path') return new Verdict(path.text, found, sides);
    if (part === 'target') return new Verdict(undefined, found, sides);
    const query = params.text === '' ? '' : `?${params.text}`;
    return new Verdict(authority.text + path.text + query, found, sides);
  }

  #authoritySides(authority: Authority, rank: number): readonly Side[] {
    const known = this.#authorities.get(authority);
    if (known !== undefined && known.rank === rank) return known.sides;
    const { scheme, host, port } = authority;
    const sides: Side[] = [];
    if (scheme !== '') sides.push(this.#side(Field.urlScheme, scheme, rank));
    if (host !== '') sides.push(this.#side(Field.serverAddress, parseAddress(host)?.text ?? host, rank));
    if (port > 0) sides.push(this.#side(Field.serverPort, port, rank));
    this.#authorities.set(authority, { rank, sides });
    return sides;
  }

  /** Parameter names repeat more than anything else in a URL: their sides are made once. */
  #querySide(text: string, rank: number): Side {
    const key = `${rank} ${text}`;
    const known = this.#queries.get(key);
    if (known !== undefined) return known;
    if (this.#queries.size >= SIDES_MAX) this.#queries.clear();
    const side = this.#side(Field.urlQuery, text, rank);
    this.#queries.set(key, side);
    return side;
  }

  #paramSides(params: Params): readonly Side[] {
    if (params.names.length === 0) return NO_SIDES;
    const key = `${params.text}\n${params.exposed.join('&')}`;
    const known = this.#params.get(key);
    if (known !== undefined) return known;
    if (this.#params.size >= SIDES_MAX) this.#params.clear();
    const sides = [this.#side(Field.requestParams, params.names), ...this.#exposedSides(params.exposed)];
    this.#params.set(key, sides);
    return sides;
  }

  #exposedSides(exposed: readonly string[]): readonly Side[] {
    return exposed.length === 0 ? NO_SIDES : [this.#side(Field.requestSecretInUrl, [...new Set(exposed)])];
  }

  #queryText(text: string): Verdict {
    const found: Category[] = [];
    const query = scrubQueryText(text);
    if (query.literals > 0) found.push('query_literal');
    const sides: Side[] = [];
    if (query.operation !== '') sides.push(this.#side(Field.dbOperationName, query.operation));
    if (query.collection !== '') sides.push(this.#side(Field.dbCollectionName, scrubText(query.collection, found)));
    return new Verdict(scrubText(query.text, found), found, sides);
  }
}
