import { isError, type Problem, type SectionContext, validate } from '../../../common/config/config.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import { checkHaproxyConfig } from './check-config.ts';
import { type HaproxyConfig, haproxySchema } from './config.ts';
import { checkServiceConfig, type ServiceHaproxyConfig, serviceHaproxySchema } from './service-config.ts';
import { readTemplate } from './template.ts';

/** How the `haproxy` sections of a configuration are read. */
export const haproxySection = {
  key: 'haproxy',
  /** HAProxy expands variables in its own lines itself. */
  raw: [
    'haproxy.global',
    'haproxy.defaults',
    'haproxy.extra_sections',
    'haproxy.shared_frontend',
    'services.*.haproxy.frontend',
    'services.*.haproxy.backend',
    'services.*.haproxy.listen',
    'services.*.haproxy.shared_frontend',
    'services.*.haproxy.server_options',
    'services.*.haproxy.bind_options',
  ],
  readTop(value: unknown, at: SectionContext): HaproxyConfig {
    const found: Problem[] = [];
    const config = validate(haproxySchema, value, { path: at.path, problems: found });
    // A wrong option has its default in the result, so that how it fits the others says nothing.
    const wrong = found.some(isError);
    at.problems.push(...found, ...(wrong ? [] : checkHaproxyConfig(config, at.path, value)));
    if (config.template_path === null) return config;
    try {
      return { ...config, template: readTemplate(config.template_path) };
    } catch (error) {
      at.problems.push({ path: `${at.path}.template_path`, message: reasonOf(error) });
      return config;
    }
  },
  readService(value: unknown, at: SectionContext): ServiceHaproxyConfig {
    const found: Problem[] = [];
    const config = validate(serviceHaproxySchema, value, { path: at.path, problems: found });
    const wrong = found.some(isError);
    at.problems.push(...found, ...(wrong ? [] : checkServiceConfig(config, at.path)));
    return config;
  },
  olderStateFile({ state_file_path: path, state_file_ttl: ttlMs }: HaproxyConfig) {
    return path === null ? undefined : { path, ttlMs };
  },
} as const;
