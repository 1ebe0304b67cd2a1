import type { Category } from './findings.ts';

/**
 * Names (of attributes, query parameters, JSON fields, headers) that say what their value is. The last words of the
 * name decide: `customer.email` and `customerEmail` hold an e-mail address, `email.count` does not.
 */
const NAMES: Readonly<Partial<Record<Category, string>>> = {
  secret:
    'password passwd passphrase pwd secret token jwt apikey api_key access_key secret_key private_key signing_key ' +
    'auth_key encryption_key client_secret credential credentials authorization access_token refresh_token id_token ' +
    'auth_token session_token bearer bearer_token session session_id sessionid jsessionid phpsessid sid cookie set_cookie otp ' +
    'pin pin_code mfa_code totp signature sig x_amz_signature x_amz_credential security_token assertion ' +
    'saml_response samlresponse code_verifier cvv cvv2 cvc cvc2 card_security_code connection_string auth',
  email: 'email e_mail mail email_address mail_address user_email useremail recipient_email to_address',
  phone: 'phone phone_number phonenumber mobile mobile_number cell_phone telephone msisdn fax tel',
  us_ssn: 'ssn social_security social_security_number us_ssn',
  payment_card: 'card_number cardnumber payment_card credit_card creditcard credit_card_number cc_number ccnum pan',
  iban: 'iban',
  bank_account: 'account_number bank_account bank_account_number routing_number sort_code',
  person_name: 'first_name firstname last_name lastname full_name fullname given_name family_name surname maiden_name',
  birth_date: 'birth_date birthdate date_of_birth dob birthday',
  postal_address: 'street street_address postal_address home_address billing_address shipping_address address_line1',
  government_id: 'passport passport_number national_id drivers_license driver_license license_plate tax_id nino',
};

const CATEGORY_OF = new Map<string, Category>();
for (const [category, names] of Object.entries(NAMES)) {
  for (const name of names.split(' ')) CATEGORY_OF.set(name, category as Category);
}

/** A "token" that points to a page or is counted or guards forms is no credential. */
const INNOCENT_BEFORE_TOKEN = new Set(
  'page next prev previous continuation continue cursor sync pagination start resume skip change delta'.split(' '),
);

const WORDS_MAX = 4;
const NAME_CHARS_MAX = 128;

/** Lower-case words of a name: `userEmail`, `user-email`, `user.email`, `USER_EMAIL` -> user, email. */
function wordsOf(name: string): string[] {
  return name
    .slice(-NAME_CHARS_MAX)
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
    .slice(-WORDS_MAX);
}

/** What a value under this name is, undefined when the name does not tell. */
export function categoryOfName(name: string): Category | undefined {
  const words = wordsOf(name);
  for (let count = Math.min(WORDS_MAX, words.length); count > 0; count--) {
    const from = words.length - count;
    const category = CATEGORY_OF.get(words.slice(from).join('_'));
    if (category === undefined) continue;
    if (count === 1 && words[from] === 'token' && from > 0 && INNOCENT_BEFORE_TOKEN.has(words[from - 1]!))
      return undefined;
    return category;
  }
  return undefined;
}
