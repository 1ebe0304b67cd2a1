import { bankAccount, cardVerification } from './account-number.ts';
import { dateOfBirth } from './date-of-birth.ts';
import { type DataClass, type Detector, normaliseName } from './detector.ts';
import { email } from './email.ts';
import { driverLicense, passport } from './government-id.ts';
import { diagnosis, medicalRecordNumber } from './health.ts';
import { iban } from './iban.ts';
import { ipAddress } from './ip-address.ts';
import { paymentCard } from './payment-card.ts';
import { AMBIGUOUS_NAME, personName } from './person-name.ts';
import { phone } from './phone.ts';
import { jwt, password, secret } from './secret.ts';
import { postalCode, streetAddress } from './street-address.ts';
import { usSsn } from './us-ssn.ts';

/** Every data type that is recognised. The order is the order in which a value is tried: the most certain form first. */
export const DETECTORS: readonly Detector[] = [
  email,
  jwt,
  secret,
  iban,
  paymentCard,
  usSsn,
  phone,
  ipAddress,
  dateOfBirth,
  personName,
  streetAddress,
  postalCode,
  password,
  cardVerification,
  bankAccount,
  passport,
  driverLicense,
  diagnosis,
  medicalRecordNumber,
];

/** Data type to class, for whoever derives classes from types. */
export const DATA_TYPE_CLASSES: ReadonlyMap<string, DataClass> = new Map(
  DETECTORS.map((detector) => [detector.type, detector.dataClass]),
);

/** What a field's name alone says. */
export interface NameVerdict {
  /** One flag per detector, in the order of {@link DETECTORS}. */
  readonly hints: readonly boolean[];
  readonly hinted: boolean;
  /** The name speaks of something innocent that looks alike: an order number, a version, a time stamp. */
  readonly negative: boolean;
  /** A plain `name`: a person only beside other personal data. */
  readonly ambiguousName: boolean;
}

const NEGATIVE =
  /(?:^|_)(?:order|sku|version|created|updated|modified|timestamp|time|invoice|tracking|serial|build|commit|hash|checksum|etag|isbn|ean|upc|gtin|asin|product|item|price|amount|total|count|quantity|width|height|offset|page|trace|span|request|correlation|uuid|guid|revision|size|epoch|lat|lng|lon|latitude|longitude|color|file|path|image|icon|url|uri|href|port|score|rate|balance)(?:_|$)/;

const VERDICTS_MAX = 4096;
const verdicts = new Map<string, NameVerdict>();

/** Cached by the raw name; the cache is emptied when hostile names fill it. */
export function judgeName(name: string): NameVerdict {
  let verdict = verdicts.get(name);
  if (verdict === undefined) {
    const normalised = normaliseName(name.slice(0, 64));
    const hints = DETECTORS.map((detector) => detector.name.test(normalised));
    const hinted = hints.includes(true);
    const negative = NEGATIVE.test(normalised) && !hinted;
    verdict = { hints, hinted, negative, ambiguousName: AMBIGUOUS_NAME.test(normalised) };
    if (verdicts.size >= VERDICTS_MAX) verdicts.clear();
    verdicts.set(name, verdict);
  }
  return verdict;
}
