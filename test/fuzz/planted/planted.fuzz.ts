import fc from 'fast-check';
import { property } from '../property.ts';

/** Properties that do not hold, to test the run itself. */
export const properties = [
  property('no number is larger than 1000', fc.nat(), (number) => {
    if (number > 1_000) throw new Error(`${number} is larger`);
  }),
  property('a case ends', fc.nat(), () => {
    for (;;);
  }),
  property('a number is not negative', fc.nat(), (number) => {
    if (number < 0) throw new Error(`${number} is negative`);
  }),
];
