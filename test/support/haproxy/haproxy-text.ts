import { type InstanceFields, makeInstance } from '../../../common/instance.ts';
import { ConfigTextBuilder, selectWanted } from '../../../synapse/haproxy/configfile/config-text.ts';
import { generationOf } from '../../../synapse/haproxy/configfile/render.ts';
import type { HaproxyConfig } from '../../../synapse/haproxy/options/config.ts';
import { buildBackendSpec } from '../../../synapse/haproxy/spec/build-backend.ts';
import { createDesiredService, type DesiredService } from '../../../synapse/haproxy/spec/desired-service.ts';
import { parseConfig } from '../../../synapse/haproxy/spec/parse-config.ts';
import type { OutputInstance } from '../../../synapse/output.ts';
import { haproxyConfig, serviceConfig } from './haproxy-output.ts';

/** What a test says about one service. */
export interface TextService {
  readonly config: Record<string, unknown>;
  readonly instances: readonly (InstanceFields & Pick<OutputInstance, 'hostName'>)[];
}

/** A top-level section in which nothing is added that a text would have to repeat. */
export function plainConfig(more: Record<string, unknown> = {}): HaproxyConfig {
  return haproxyConfig({
    global: ['daemon'],
    defaults: ['mode http'],
    do_socket: false,
    server_order_seed: 1,
    ...more,
  });
}

/** The file for some services when there is no file yet. */
export function fileText(config: HaproxyConfig, services: Readonly<Record<string, TextService>>): string {
  const desired = new Map<string, DesiredService>();
  for (const [name, service] of Object.entries(services)) {
    const one = createDesiredService(name, config.max_server_id);
    one.wanted = buildBackendSpec(name, serviceConfig(service.config), config);
    one.instances = service.instances.map(({ hostName, ...fields }): OutputInstance => {
      const instance = makeInstance(fields);
      return hostName === undefined ? instance : { ...instance, hostName };
    });
    desired.set(name, one);
  }
  const specs = [...desired.values()].map(({ wanted }) => wanted).filter((wanted) => wanted !== undefined);
  const present = { file: () => parseConfig(''), running: new Map() };
  return new ConfigTextBuilder(config, desired).build(selectWanted, generationOf(config, specs), present).text;
}

/** The part of the file that one service has. */
export function serviceText(config: HaproxyConfig, name: string, service: TextService): string {
  const text = fileText(config, { [name]: service });
  const start = text.search(/^\n?(frontend|backend) /m);
  return start < 0 ? '' : text.slice(start).replace(/^\n/, '');
}
