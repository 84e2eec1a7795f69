import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSource } from '../../../support/daemons/source-run.ts';
import { startDockerServer } from '../../../support/servers/docker-server.ts';
import { until } from '../../../support/until.ts';

describe('a container with values of another type', () => {
  for (const [what, fields, id, reason] of [
    ['name', { Names: [{ toString: 1 }] }, '1_127.0.0.1:8001', undefined],
    [
      'label',
      { Names: ['/a'], Labels: { az: { toString: 1 } } },
      'a_127.0.0.1:8001',
      /labels\."az" \{"toString":1\}: must/,
    ],
  ] as const) {
    it(`uses a container with a ${what} that is no text without it`, async (t) => {
      const server = await startDockerServer();
      const ports = [{ PrivatePort: 80, PublicPort: 8001 }];
      server.fault = JSON.stringify([{ Id: '1', Image: 'app', Ports: ports, ...fields }]);
      const run = await runSource('docker', { host: server.url, image_name: 'app', labels: ['az'] });
      t.after(async () => {
        await run.stop();
        await server.close();
      });
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), [id]);
      const [dropped] = run.sets[0]?.instances[0]?.dropped ?? [];
      if (reason === undefined) assert.equal(dropped, undefined);
      else assert.match(dropped ?? '', reason);
    });
  }
});
