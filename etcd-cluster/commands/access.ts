/** `etcd-cluster/access`: users and roles in etcd, and what each may do. */
import { UsageError } from '../../common/cli/program.ts';
import { runCommand } from '../command.ts';
import { applyAccess } from '../users/access.ts';
import { readAccess } from '../users/access-config.ts';

const usage = `Usage: etcd-cluster/access [--dry-run] FILE

Gives the users in FILE exactly the rights in FILE, and enables authentication in etcd. Run it again after each change of
FILE: it changes only what differs, and does not touch other users. FILE (YAML or JSON):

  etcd:                                     # the connection to etcd, as root
    hosts: [https://10.0.0.1:2379]
    tls: { ca: tls/root/ca.pem, cert: tls/root/client.pem, key: tls/root/client-key.pem }
    username: root                          # when root has no certificate
    password: \${ETCD_ROOT_PASSWORD}
  users:
    nerve-api: { write: [/nerve/services/api/] }      # may also read what it may write
    synapse: { read: [/nerve/services/], password: \${SYNAPSE_PASSWORD} }

A key that ends with / stands for every key below it. A user without a password proves itself with a certificate that
has its name.

  --dry-run  print the changes, and change nothing
  --help     show this text
`;

await runCommand({
  usage,
  options: { 'dry-run': { type: 'boolean' } },
  async run({ values, words: [file, ...more] }) {
    if (file === undefined || more.length > 0) throw new UsageError('name exactly one FILE');
    const config = await readAccess(file);
    const ended = new AbortController();
    try {
      const done = await applyAccess(config, { dryRun: values['dry-run'] === true }, ended.signal);
      process.stdout.write(done.length === 0 ? 'nothing to do\n' : `${done.join('\n')}\n`);
    } finally {
      ended.abort();
    }
  },
});
