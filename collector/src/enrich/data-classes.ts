import { DATA_TYPE_CLASSES, type DataClass } from '@spanwarden/instrumentation/data-types';

/**
 * Data types to classes. The types that our instrumentation recognises bring their class along; the rest are types that
 * a service may count by itself. An unknown type has no class: it is shown, never regulated by guess.
 *
 * pii: GDPR art. 4(1) and 9, NIST SP 800-122; pci: PCI DSS 4.0.1, account data (cardholder and sensitive authentication
 * data); phi: HIPAA, 45 CFR 164.514(b)(2); secret: CWE-798, CWE-522.
 */
const FURTHER_TYPES: Readonly<Record<DataClass, readonly string[]>> = {
  pii: [
    'address',
    'bank_account',
    'birth_place',
    'date_of_birth',
    'driver_license',
    'email',
    'ethnicity',
    'full_name',
    'gender',
    'geo_location',
    'iban',
    'ip_address',
    'mac_address',
    'name',
    'national_id',
    'passport',
    'person_name',
    'phone',
    'political_opinion',
    'postal_code',
    'religion',
    'salary',
    'sexual_orientation',
    'ssn',
    'street_address',
    'tax_id',
    'us_ssn',
    'username',
    'vehicle_registration',
  ],
  pci: [
    'card_expiry',
    'card_track',
    'card_verification',
    'cardholder_name',
    'credit_card',
    'cvv',
    'payment_card',
    'pin_block',
  ],
  phi: [
    'biometric',
    'blood_type',
    'diagnosis',
    'disability',
    'genetic_data',
    'health_insurance_number',
    'lab_result',
    'medical_record_number',
    'medication',
    'prescription',
    'procedure_code',
  ],
  secret: [
    'api_key',
    'access_token',
    'aws_access_key',
    'connection_string',
    'credential',
    'jwt',
    'oauth_token',
    'one_time_code',
    'password',
    'password_hash',
    'private_key',
    'recovery_code',
    'secret',
    'session_token',
    'token',
  ],
};

const classes = new Map<string, DataClass>(
  Object.entries(FURTHER_TYPES).flatMap(([dataClass, types]) => types.map((type) => [type, dataClass as DataClass])),
);
for (const [type, dataClass] of DATA_TYPE_CLASSES) classes.set(type, dataClass);

/** The class of a data type in snake case; undefined when it has none. */
export function dataClassOf(type: string): DataClass | undefined {
  return classes.get(type);
}
