import { type Detector, words } from './detector.ts';

/** Passport numbers, by the field's name. */
export const passport: Detector = {
  type: 'passport',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: words('passport', 'passport_?(?:number|no|num)', 'travel_?document(?:_?(?:number|no))?'),
  confidence: (value, shape) => (shape.digits >= 5 && /^[A-Z]{0,2}\d{6,9}[A-Z]?$/.test(value) ? 0.8 : 0),
};

/** Driver's licence numbers, by the field's name: their forms differ by state and overlap with everything. */
export const driverLicense: Detector = {
  type: 'driver_license',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: words(
    'driver_?s?_?licen[sc]e(?:_?(?:number|no|num))?',
    'driving_?licen[sc]e(?:_?(?:number|no))?',
    'dl_?(?:number|no)',
    'licen[sc]e_?number',
  ),
  confidence: (value, shape) =>
    shape.digits >= 4 && shape.length <= 20 && /^[A-Z0-9][A-Z0-9 -]+$/.test(value) ? 0.75 : 0,
};
