import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runSource } from '../support/daemons/source-run.ts';
import { root } from '../support/repository.ts';
import { startEc2Server } from '../support/servers/ec2-server.ts';
import { until } from '../support/until.ts';

describe('the IAM policy for ec2tag', () => {
  const allowed = async (): Promise<readonly string[]> => {
    const policy = JSON.parse(await readFile(join(root, 'deploy/iam-ec2tag.json'), 'utf8'));
    return policy.Statement.flatMap(({ Effect, Action }: { Effect: string; Action: string | readonly string[] }) => {
      assert.equal(Effect, 'Allow');
      return Action;
    });
  };

  it('allows exactly the calls that the source makes for several pages', async () => {
    const server = await startEc2Server();
    const tags = { servicename: 'api' };
    const pages = [1, 2].map((n) => [{ id: `i-${n}`, address: `10.0.0.${n}`, tags }]);
    server.answer = { kind: 'pages', pages };
    const run = await runSource('ec2tag', {
      ...{ tag_name: 'servicename', tag_value: 'api', port: 50001, endpoint: server.endpoint },
      ...{ aws_region: 'us-east-1', aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'secret' },
    });
    try {
      await until(() => run.ids().length === 2);
      const called = new Set(server.calls.map((call) => `ec2:${call.get('Action')}`));
      assert.deepEqual([...called], await allowed());
    } finally {
      await run.stop();
      await server.close();
    }
  });

  it('allows exactly the commands and paginators of the EC2 client in the code', async () => {
    const files = await readdir(join(root, 'synapse'), { recursive: true });
    const used = new Set<string>();
    for (const file of files.filter((name) => name.endsWith('.ts'))) {
      const text = await readFile(join(root, 'synapse', file), 'utf8');
      if (!text.includes('@aws-sdk/client-ec2')) continue;
      const calls = text.matchAll(/new \w+\.(\w+)Command\(|\.paginate(\w+)\(/g);
      for (const [, command, paginated] of calls) used.add(`ec2:${command ?? paginated}`);
    }
    assert.deepEqual([...used], await allowed());
  });
});
