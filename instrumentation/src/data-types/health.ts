import { type Detector, words } from './detector.ts';

/** Diagnosis codes (ICD-10-CM form) or words, in a field that speaks of a diagnosis. */
export const diagnosis: Detector = {
  type: 'diagnosis',
  dataClass: 'phi',
  weak: true,
  decisive: false,
  name: words('diagnosis', 'diagnoses', 'icd', 'icd_?10', 'diagnosis_?code', 'icd10'),
  confidence(value, shape) {
    if (shape.letters === 0 || shape.length > 120) return 0;
    return /^[A-TV-Z]\d[0-9AB](?:\.?[0-9A-TV-Z]{1,4})?$/.test(value) ? 0.85 : 0.5;
  },
};

/** Medical record numbers, by the field's name. */
export const medicalRecordNumber: Detector = {
  type: 'medical_record_number',
  dataClass: 'phi',
  weak: true,
  decisive: false,
  name: words(
    'mrn',
    'medical_?record(?:_?(?:number|no|id))?',
    'patient_?(?:id|number)',
    'nhs_?number',
    'health_?insurance_?(?:id|number)',
  ),
  confidence: (value, shape) => (shape.digits >= 4 && shape.length <= 24 && /^[A-Za-z0-9 -]+$/.test(value) ? 0.75 : 0),
};
