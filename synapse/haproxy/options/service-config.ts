import { type Problem, type Schema, validate } from '../../../common/config/config.ts';
import type { JsonSchema } from '../../../common/config/json-values.ts';
import { show } from '../../../common/config/secrets.ts';
import { knownHint } from '../../../common/nearest.ts';
import { frontendPort, optionalText } from './formats.ts';

/** `services.NAME.haproxy`. */
export interface ServiceHaproxyConfig {
  readonly disabled: boolean;
  /** A port or range; null: the frontend binds `bind_address` alone; false: no frontend, a backend only. */
  readonly port: number | string | null | false;
  readonly bind_address: string | null;
  readonly bind_options: string | null;
  readonly server_options: unknown;
  readonly frontend: readonly string[];
  readonly backend: readonly string[];
  readonly listen: readonly string[];
  readonly backend_name: string | null;
  readonly backend_order: string | null;
  readonly shared_frontend: readonly string[];
  readonly cookie_value_method: string | null;
  /** Not SmartStack's. */
  readonly wait_for_cookie: boolean;
  readonly use_nerve_weights: boolean | null;
  readonly server_port_override: number | string | null;
  readonly server_backup_port: number | string | null;
}

/** What {@link frontendPort} takes. */
const portJson: JsonSchema = {
  anyOf: [
    { type: 'integer', minimum: 1, maximum: 65_535 },
    { type: 'string', pattern: '^[0-9]{1,5}(-[0-9]{1,5})?$' },
    { enum: [false] },
  ],
};

/** The schema of {@link ServiceHaproxyConfig}. */
export const serviceHaproxySchema: Schema<ServiceHaproxyConfig> = {
  disabled: { doc: 'Leave this service out of HAProxy.', format: Boolean, default: false },
  port: {
    doc: 'Port of the frontend. Absent: a backend without a frontend. null: the frontend binds bind_address as it is (a unix socket).',
    format: frontendPort,
    json: portJson,
    type: 'port',
    default: false,
  },
  bind_address: optionalText('Address the frontend binds, default haproxy.bind_address.'),
  bind_options: optionalText('More words for the bind line.'),
  server_options: {
    doc: 'Words for every server line; %{host}, %{port} and %{name} are replaced, %% is a percent sign.',
    format: '*',
    default: '',
  },
  frontend: { doc: 'Lines of the frontend.', format: 'lines', default: [] },
  backend: { doc: 'Lines of the backend.', format: 'lines', default: [] },
  listen: {
    doc: 'Lines that go to the frontend, the backend or both, where they belong.',
    format: 'lines',
    default: [],
  },
  backend_name: optionalText('Name of the backend, default the name of the service.'),
  backend_order: optionalText(
    'Order of server lines: asc, desc, no_shuffle (as discovered), default a stable shuffle.',
  ),
  shared_frontend: { doc: 'Lines this service adds to the shared frontend.', format: 'lines', default: [] },
  cookie_value_method: optionalText("'hash': the cookie value is the SHA-1 of the server's name instead of the name."),
  wait_for_cookie: {
    doc: 'On HAProxy before 3.0, which gives a server added at run time no cookie: add new instances of a backend with cookies by a reload only. Otherwise they take requests at once, and answer without a cookie until the reload that follows.',
    format: Boolean,
    default: false,
  },
  use_nerve_weights: {
    doc: 'As haproxy.use_nerve_weights, for this service.',
    format: 'optional-boolean',
    default: null,
  },
  server_port_override: {
    doc: 'Old name of the service option backend_port_override.',
    format: frontendPort,
    json: portJson,
    type: 'port',
    default: null,
  },
  server_backup_port: {
    doc: 'Every discovered host also has a backup server on this port.',
    format: frontendPort,
    json: portJson,
    type: 'port',
    default: null,
  },
};

/** The section of a service that says nothing. */
export function serviceHaproxyDefaults(): ServiceHaproxyConfig {
  return validate(serviceHaproxySchema, {}, { path: '', problems: [] });
}

/** HAProxy's proxy names (configuration manual, chapter 4). */
const proxyName = /^[A-Za-z0-9_.:-]+$/;

/** What the schema cannot say about one service: names and lines that would break the file. Paths start at `at`. */
export function checkServiceConfig(config: ServiceHaproxyConfig, at: string): readonly Problem[] {
  const problems: Problem[] = [];
  if (config.backend_name !== null && !proxyName.test(config.backend_name)) {
    problems.push({
      path: `${at}.backend_name`,
      message: `${JSON.stringify(config.backend_name)}: allowed are A-Z a-z 0-9 - _ . :`,
    });
  }
  for (const key of ['bind_address', 'bind_options'] as const) {
    if (hasBreak(config[key] ?? '')) problems.push({ path: `${at}.${key}`, message: 'must be one line' });
  }
  if (typeof config.server_options === 'string' && hasBreak(config.server_options)) {
    problems.push({ path: `${at}.server_options`, message: 'must be one line' });
  }
  for (const key of ['frontend', 'backend', 'listen', 'shared_frontend'] as const) {
    config[key].forEach((line, index) => {
      if (hasBreak(line)) problems.push({ path: `${at}.${key}[${index}]`, message: 'must be one line' });
    });
  }
  problems.push(...ignoredValues(config, at));
  return problems;
}

/** Words that mean something; SmartStack takes all others for the default. */
const knownWords = {
  backend_order: ['asc', 'desc', 'no_shuffle'],
  cookie_value_method: ['hash'],
} as const satisfies Partial<Record<keyof ServiceHaproxyConfig, readonly string[]>>;

/** Warnings for values that SmartStack ignores in silence. */
function ignoredValues(config: ServiceHaproxyConfig, at: string): readonly Problem[] {
  const problems: Problem[] = [];
  const warn = (key: keyof ServiceHaproxyConfig, message: string): void => {
    problems.push({ path: `${at}.${key}`, message, severity: 'warning' });
  };
  for (const [key, known] of Object.entries(knownWords) as [keyof typeof knownWords, readonly string[]][]) {
    const value = config[key];
    if (value === null || value === '' || known.includes(value)) continue;
    warn(key, `${show(value)} means nothing, and the default counts; ${knownHint(value, known)}`);
  }
  const { server_options: options } = config;
  if (typeof options === 'string' || options === null || options === undefined) return problems;
  const words = Array.isArray(options) ? options.join(' ') : 'check inter 2s';
  warn('server_options', `is no text, and servers get no options from it; write ${show(words)}`);
  return problems;
}

/** True for a name that HAProxy takes for a frontend or backend. */
export function isProxyName(name: string): boolean {
  return proxyName.test(name);
}

function hasBreak(text: string): boolean {
  return /[\r\n\0]/.test(text);
}
