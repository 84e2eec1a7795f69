import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConfig, type NerveConfig } from '../../../nerve/config/config.ts';
import { configProblems } from '../../support/daemons/nerve-config.ts';

describe('the configuration from the environment', () => {
  const from = (env: Readonly<Record<string, string>>): Promise<NerveConfig> => loadConfig({ file: undefined, env });

  it('needs only a service and its port', async () => {
    const { services, etcd } = await from({ NERVE_SERVICE: 'api', NERVE_PORT: '3000' });
    const api = services.get('api');
    assert.ok(api && api.instance.host !== 'auto');
    assert.deepEqual(
      api.checks.map(({ type }) => type),
      ['tcp'],
    );
    assert.deepEqual(etcd.hosts, ['http://127.0.0.1:2379']);
  });

  it('reads host, check, etcd and admin options', async () => {
    const env = {
      NERVE_SERVICE: 'api',
      NERVE_HOST: '10.0.0.1',
      NERVE_PORT: '3000',
      NERVE_CHECK: 'http:/health?a:b',
      ETCD_HOSTS: 'a:1,b:2',
      NERVE_ADMIN_LISTEN: 'false',
      NERVE_CONTROL_SOCKET: '/run/nerve.sock',
    };
    const { services, etcd, admin } = await loadConfig({ file: undefined, env, instanceId: 'i-9' });
    const api = services.get('api');
    assert.equal(api?.key, '/nerve/services/api/i-9_10.0.0.1:3000');
    assert.deepEqual(
      api?.checks.map(({ type, options }) => [type, (options as { uri: string }).uri]),
      [['http', '/health?a:b']],
    );
    assert.deepEqual(
      [etcd.hosts, admin.listen, admin.control_socket],
      [['http://a:1', 'http://b:2'], false, '/run/nerve.sock'],
    );
  });

  it('reads the etcd certificates and user', async () => {
    const tls = { ETCD_TLS_CA: '/tls/ca.pem', ETCD_TLS_CERT: '/tls/client.pem', ETCD_TLS_KEY: '/tls/client-key.pem' };
    const user = { ETCD_USERNAME: 'nerve', ETCD_PASSWORD: 'secret' };
    const env = { NERVE_SERVICE: 'api', NERVE_PORT: '1', ETCD_HOSTS: 'https://a:1', ...tls, ...user };
    const { etcd } = await loadConfig({ file: undefined, env });
    assert.deepEqual(etcd, {
      hosts: ['https://a:1'],
      tls: { ca: '/tls/ca.pem', cert: '/tls/client.pem', key: '/tls/client-key.pem' },
      username: 'nerve',
      password: 'secret',
      password_file: null,
    });
  });

  const wrong: readonly [env: Readonly<Record<string, string>>, problem: RegExp][] = [
    [{}, /name a configuration file with -c FILE or NERVE_CONFIG, or one service with NERVE_SERVICE/],
    [{ NERVE_SERVICE: 'api' }, /NERVE_PORT: is not set/],
    [{ NERVE_SERVICE: 'api', NERVE_PORT: 'x' }, /services\.api\.port: .*not "x"/],
    [
      { NERVE_SERVICE: 'api', NERVE_PORT: '1', NERVE_CHECK: 'tcp:/x' },
      /NERVE_CHECK: must be the type of a check, or http:\/PATH, not "tcp:\/x"/,
    ],
    [{ NERVE_SERVICE: 'api', NERVE_PORT: '1', NERVE_CHECK: 'http' }, /checks\[0\]\.uri: is required/],
    [{ NERVE_SERVICE: '__proto__', NERVE_PORT: '1', NERVE_CHECK: 'nope' }, /unknown check type/],
  ];
  for (const [env, problem] of wrong) {
    it(`refuses ${JSON.stringify(env)}`, async () =>
      assert.match((await configProblems(from(env))).join('\n'), problem));
  }
});
