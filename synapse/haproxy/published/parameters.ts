import { readTimeMs } from '../spec/time.ts';

/** A part of a published line that its author chooses. */
export interface Parameter {
  /** What is allowed, for people. */
  readonly doc: string;
  /** The allowed characters, as a regular expression without groups that capture. None of them has a meaning in haproxy.cfg. */
  readonly pattern: string;
  /** Whether text that fits the pattern is in the allowed range. */
  readonly isAllowed?: (text: string) => boolean;
}

/** HAProxy 3.2 and later warn of a smaller number without a unit, because its author may have thought of seconds. */
const smallestWithoutUnit = 100;

/** A time from `from` to `to`, both in words of HAProxy's file. */
function time(from: string, to: string): Parameter {
  const [min = 0, max = 0] = [readTimeMs(from), readTimeMs(to)];
  return {
    doc: `a time from ${from} to ${to} with its unit (ms, s, m, h, d), or a number of milliseconds from ${smallestWithoutUnit} on`,
    pattern: '[0-9]{1,9}(?:ms|s|m|h|d)?',
    isAllowed: (text) => {
      const ms = readTimeMs(text);
      return ms !== undefined && ms >= (/[a-z]$/.test(text) ? min : Math.max(min, smallestWithoutUnit)) && ms <= max;
    },
  };
}

function whole(min: number, max: number): Parameter {
  return {
    doc: `a whole number from ${min} to ${max}`,
    pattern: '[0-9]{1,9}',
    isAllowed: (text) => Number(text) >= min && Number(text) <= max,
  };
}

/** HTTP status codes and ranges of them. */
const status = '[1-5][0-9]{2}';
const statuses = `${status}(?:-${status})?`;

/** The parameters of the forms in `directives.ts`, by the name that the forms have for them. */
export const parameters: Readonly<Record<string, Parameter>> = {
  TIME: time('1ms', '24h'),
  SHORT_TIME: time('1ms', '1m'),
  INTERVAL: time('100ms', '1h'),
  LIFETIME: { ...time('1s', '365d'), doc: 'a time from 1s to 365d with its unit', pattern: '[0-9]{1,9}(?:s|m|h|d)' },
  RETRIES: whole(0, 10),
  PASSES: whole(1, 100),
  WEIGHT: whole(1, 256),
  CONNECTIONS: whole(1, 100_000),
  FACTOR: whole(101, 10_000),
  DRAWS: whole(1, 8),
  LENGTH: whole(1, 128),
  DEPTH: whole(1, 16),
  ENTRIES: whole(1, 100_000),
  NAME: { doc: 'up to 64 of A-Z a-z 0-9 _ -, first a letter', pattern: '[A-Za-z][A-Za-z0-9_-]{0,63}' },
  METHOD: { doc: 'GET, HEAD or OPTIONS', pattern: '(?:GET|HEAD|OPTIONS)' },
  PATH: {
    doc: 'a slash and up to 255 of A-Z a-z 0-9 . _ ~ / ? = & + -',
    pattern: '/[A-Za-z0-9._~/?=&+-]{0,255}',
  },
  VERSION: { doc: 'HTTP/1.0 or HTTP/1.1', pattern: 'HTTP/1\\.[01]' },
  HOST_NAME: { doc: 'a host name', pattern: '[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?' },
  STATUSES: {
    doc: 'up to ten status codes or ranges with commas between them, such as 200-299,304',
    pattern: `${statuses}(?:,${statuses}){0,9}`,
    isAllowed: (text) => text.split(',').every((range) => range.slice(0, 3) <= range.slice(-3)),
  },
  TEXT: { doc: 'up to 64 of A-Z a-z 0-9 _ . : / = + -', pattern: '[A-Za-z0-9_.:/=+-]{1,64}' },
  MEDIA_TYPE: {
    doc: 'a media type, such as text/html',
    pattern: '[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}',
  },
  EVENT: {
    doc: 'conn-failure, empty-response, junk-response, response-timeout, 0rtt-rejected, 404, 408, 425, 500, 501, 502, 503 or 504',
    pattern:
      '(?:conn-failure|empty-response|junk-response|response-timeout|0rtt-rejected|404|408|425|500|501|502|503|504)',
  },
};
