import { compileForm, type Form } from './form.ts';

/** The part of a service that a line belongs to. */
export type Side = 'frontend' | 'backend';

/** A form of lines. */
export interface LineForm extends Form {
  /** HAProxy ignores such a line, with a warning, unless the mode is http. */
  readonly needsHttp: boolean;
}

/** Lines that begin alike. A document has at most one of them for each side, unless it `hasSeveral`. */
export interface Directive {
  /** The first words of its lines. */
  readonly slot: string;
  /** Published lines replace all local lines of the same family on their side. */
  readonly family: Family;
  readonly sides: readonly Side[];
  readonly forms: readonly LineForm[];
  /** A document may have one line of each form. */
  readonly hasSeveral: boolean;
}

/** Directives that only mean something together. */
export interface Family {
  readonly name: string;
  /**
   * The local lines that a published one may replace; when there are others, the document is refused. `publishable`: those that
   * could be published themselves, because others may have an address, a program, TLS, or what keeps clients apart.
   */
  readonly replaces: 'any' | 'publishable' | 'none';
  /** Words of a replaced line that the published line must have too. */
  readonly keeps: readonly string[];
  /** A document may have only one of its lines. */
  readonly isChoice: boolean;
  /** First words of lines that belong to it and may not be published. */
  readonly others: readonly string[];
}

type Row = readonly [slot: string, sides: 'frontend' | 'backend' | 'both', ...forms: (string | { http: string })[]];

function family(name: string, rows: readonly Row[], options: Partial<Omit<Family, 'name'>> = {}): readonly Directive[] {
  const { replaces = 'any', keeps = [], isChoice = false, others = [] } = options;
  const all = { name, replaces, keeps, isChoice, others };
  return rows.map(([slot, sides, ...forms]) => ({
    slot,
    family: all,
    sides: sides === 'both' ? ['frontend', 'backend'] : [sides],
    hasSeveral: slot === 'http-check' || slot === 'tcp-check',
    forms: forms.map((form): LineForm => {
      const needsHttp = typeof form !== 'string';
      return { ...compileForm(needsHttp ? form.http : form), needsHttp };
    }),
  }));
}

/** Families of one directive. */
function single(rows: readonly Row[]): readonly Directive[] {
  return rows.flatMap((row) => family(row[0], [row]));
}

function onOff(option: string, sides: Row[1]): Row {
  return [`option ${option}`, sides, `option ${option}`, `no option ${option}`];
}

/**
 * All lines that may be published. Nothing in them names an address, a port, a file, a program, a socket or a variable, and
 * nothing sends other bytes to an instance than the request of a check. Lines are written to HAProxy's file in this order, which
 * HAProxy wants for the lines of a check.
 */
export const directives: readonly Directive[] = [
  ...single([
    ['timeout client', 'frontend', 'timeout client TIME'],
    ['timeout client-fin', 'frontend', 'timeout client-fin SHORT_TIME'],
    ['timeout http-request', 'frontend', 'timeout http-request SHORT_TIME'],
    ['timeout http-keep-alive', 'both', 'timeout http-keep-alive TIME'],
    ['timeout connect', 'backend', 'timeout connect SHORT_TIME'],
    ['timeout check', 'backend', 'timeout check SHORT_TIME'],
    ['timeout queue', 'backend', 'timeout queue TIME'],
    ['timeout server', 'backend', 'timeout server TIME'],
    ['timeout server-fin', 'backend', 'timeout server-fin SHORT_TIME'],
    ['timeout tunnel', 'backend', 'timeout tunnel TIME'],
    ['maxconn', 'frontend', 'maxconn CONNECTIONS'],
    ['fullconn', 'backend', 'fullconn CONNECTIONS'],
    [
      'balance',
      'backend',
      'balance roundrobin|static-rr|leastconn|first|source|random|random(DRAWS)',
      { http: 'balance uri [whole] [path-only] [len LENGTH] [depth DEPTH]' },
      { http: 'balance hdr(NAME)' },
      { http: 'balance url_param NAME' },
    ],
    [
      'hash-type',
      'backend',
      'hash-type map-based|consistent [sdbm|djb2|wt6|crc32]',
      'hash-type map-based|consistent sdbm|djb2|wt6|crc32 avalanche',
    ],
    ['hash-balance-factor', 'backend', 'hash-balance-factor FACTOR'],
    ['retries', 'backend', 'retries RETRIES'],
    ['retry-on', 'backend', { http: 'retry-on none|all-retryable-errors' }, { http: 'retry-on EVENT...' }],
    ['option redispatch', 'backend', 'option redispatch [RETRIES]', 'no option redispatch'],
    ['option allbackups', 'backend', 'option allbackups'],
    onOff('abortonclose', 'backend'),
    [
      'option prefer-last-server',
      'backend',
      { http: 'option prefer-last-server' },
      { http: 'no option prefer-last-server' },
    ],
    onOff('persist', 'backend'),
    onOff('log-health-checks', 'backend'),
    onOff('srvtcpka', 'backend'),
    onOff('clitcpka', 'frontend'),
    ['compression algo', 'backend', { http: 'compression algo gzip|deflate|raw-deflate|identity...' }],
    ['compression type', 'backend', { http: 'compression type MEDIA_TYPE...' }],
  ]),
  ...family(
    'connections',
    [
      ['option http-keep-alive', 'both', { http: 'option http-keep-alive' }],
      ['option http-server-close', 'both', { http: 'option http-server-close' }],
      ['option httpclose', 'both', { http: 'option httpclose' }],
    ],
    { isChoice: true },
  ),
  // A local `never` keeps the connections of clients apart, so it cannot be replaced.
  ...family('http-reuse', [['http-reuse', 'backend', { http: 'http-reuse safe|aggressive|always' }]], {
    replaces: 'publishable',
  }),
  ...family(
    'cookie',
    [
      [
        'cookie',
        'backend',
        {
          http: 'cookie NAME insert [indirect] [nocache] [preserve] [httponly] [secure] [maxidle LIFETIME] [maxlife LIFETIME]',
        },
      ],
    ],
    { replaces: 'publishable', keeps: ['httponly', 'secure'] },
  ),
  ...family(
    'stick',
    [
      [
        'stick-table',
        'backend',
        'stick-table type ip|ipv6 size ENTRIES [expire TIME]',
        'stick-table type string [len LENGTH] size ENTRIES [expire TIME]',
      ],
      ['stick on', 'backend', 'stick on src', { http: 'stick on req.cook(NAME)' }, { http: 'stick on req.hdr(NAME)' }],
    ],
    // Rules of other services may use the table.
    { replaces: 'none', others: ['stick'] },
  ),
  ...family(
    'check',
    [
      ['option httpchk', 'backend', 'option httpchk [METHOD] PATH [VERSION]', 'option httpchk'],
      [
        'http-check',
        'backend',
        'http-check send [meth METHOD] [uri PATH] [ver VERSION] [hdr Host HOST_NAME]',
        'http-check expect [!] status STATUSES',
        'http-check expect [!] string TEXT',
        'http-check disable-on-404',
      ],
      ['option tcp-check', 'backend', 'option tcp-check'],
      ['tcp-check', 'backend', 'tcp-check connect', 'tcp-check expect [!] string TEXT'],
      ['option redis-check', 'backend', 'option redis-check'],
      ['option ldap-check', 'backend', 'option ldap-check'],
      ['option smtpchk', 'backend', 'option smtpchk'],
    ],
    {
      replaces: 'publishable',
      others: [
        ...['external-check', 'option external-check', 'option mysql-check', 'option pgsql-check'],
        ...['option ssl-hello-chk', 'option spop-check'],
      ],
    },
  ),
];

/** The first words of lines → the family that they belong to. */
const families: ReadonlyMap<string, Family> = new Map(
  directives.flatMap(({ slot, family }) => [slot, ...family.others].map((words) => [words, family] as const)),
);

/** The family of any line, such as one of the local configuration; undefined when nothing published replaces it. */
export function familyOf(line: string): Family | undefined {
  // HAProxy reads a quoted or escaped keyword like a plain one.
  const [first = '', second = ''] = line
    .replace(/["'\\]/g, '')
    .trim()
    .replace(/^(no|default)\s+/, '')
    .split(/\s+/);
  return families.get(`${first} ${second}`) ?? families.get(first);
}

/** A line that may be published. */
export interface PublishedLine {
  /** Its words with one space between them, in the order of the form. */
  readonly text: string;
  readonly directive: Directive;
  readonly form: LineForm;
  /** Its place in HAProxy's file among other published lines. */
  readonly order: number;
}

/** Reads a line; undefined when it may not be published. */
export function readLine(line: string): PublishedLine | undefined {
  const words = line.split(/[ \t]+/).filter((word) => word !== '');
  let order = 0;
  for (const directive of directives) {
    for (const form of directive.forms) {
      order += 1;
      const found = form.read(words);
      if (found !== undefined) return { text: found.join(' '), directive, form, order };
    }
  }
  return undefined;
}

/** The forms of the lines that begin as this one does, for the message that refuses it. */
export function formsLike(line: string): readonly string[] {
  const family = familyOf(line);
  if (family === undefined) return [];
  const [first = '', second = ''] = line.trim().split(/\s+/);
  const near = directives.filter(({ slot }) => slot === first || slot === `${first} ${second}`);
  return near.flatMap(({ forms }) => forms.map(({ text }) => text));
}

/** The options of server lines that may be published, as far as records may have them too. */
export const serverOptions: readonly Form[] = [
  'check',
  'inter INTERVAL',
  'fastinter INTERVAL',
  'downinter INTERVAL',
  'rise PASSES',
  'fall PASSES',
  'slowstart TIME',
  'weight WEIGHT',
  'maxconn CONNECTIONS',
].map(compileForm);
