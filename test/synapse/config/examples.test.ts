import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { haproxy, section, smartstackExamples, zookeeper } from '../../support/config/smartstack-examples.ts';
import { acceptedByHaproxy } from '../../support/haproxy/haproxy-accepts.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe("SmartStack's example configurations", () => {
  for (const [title, config, methods] of smartstackExamples) {
    it(title, async (t) => {
      const path = join(await tempFolder(t), 'synapse.conf.json');
      await writeFile(path, JSON.stringify({ haproxy, ...config }, null, 2));
      await accepted(path, methods);
    });
  }

  it('YAML with one file per service', async (t) => {
    const folder = await tempFolder(t);
    const services = join(folder, 'conf.d');
    await mkdir(services);
    await writeFile(join(services, 'api.json'), JSON.stringify({ discovery: zookeeper, haproxy: section }));
    await writeFile(
      join(services, 'web.yaml'),
      [
        'default_servers:',
        '  - {name: default1, host: localhost, port: 8422}',
        'discovery:',
        '  method: ec2tag',
        '  tag_name: service',
        '  tag_value: true',
        '  check_interval: 30.0',
        'backend_port_override: "8080"',
        'haproxy:',
        '  port: 3214',
        '  listen:',
        '    - mode http',
      ].join('\n'),
    );
    const path = join(folder, 'synapse.yaml');
    await writeFile(path, `service_conf_dir: ${services}\nhaproxy: ${JSON.stringify(haproxy)}\n`);
    await accepted(path, ['zookeeper', 'ec2tag']);
  });
});

/** It loads with these methods, and HAProxy accepts what follows from it. */
async function accepted(path: string, methods: readonly string[]): Promise<void> {
  const { log, lines } = recordingLog();
  await acceptedByHaproxy(path, { env: {}, log, methods });
  // Of the keys that are accepted and have no meaning here, these are worth a word.
  for (const { fields } of lines) assert.match(String(fields.path), /retry_policy|polling_interval_sec/);
}
