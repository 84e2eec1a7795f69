/** `etcd-cluster/access`: users and roles in etcd, and what each may do. */
import { UsageError } from '../../common/cli/program.ts';
import { visible } from '../../common/visible.ts';
import { runCommand } from '../command.ts';
import { applyAccess } from '../users/access.ts';
import { readAccess } from '../users/access-config.ts';

const usage = `Usage: etcd-cluster/access [--dry-run] [--remove-others] FILE

Gives the users in FILE exactly the rights in FILE, and enables authentication in etcd. Run it again after each change of
FILE: it changes only what differs, prints what it changed, and takes rights away that FILE no longer lists. It does not
touch users that are not in FILE, and names them. FILE (YAML or JSON):

  etcd:                                     # the connection to etcd, as root
    hosts: [https://10.0.0.1:2379]
    tls: { ca: tls/root/ca.pem, cert: tls/root/client.pem, key: tls/root/client-key.pem }
    username: root                          # when root has no certificate
    password: \${ETCD_ROOT_PASSWORD}
  nerves:                                   # a user for the nerves of each service, or for each host
    - { user: nerve-api, services: [api] }  # writes only below /nerve/services/api/
    - { user: host-1, services: [api, web], instance_id: host-1 }     # only the keys of its own instances
    - { user: nerve-db, paths: [/data/db], password: \${DB_PASSWORD} } # a service with etcd_path: /data/db
  users:                                    # other users
    synapse:
      read: [/nerve/services/, /smartstack/config/, /smartstack/fleet/requests/]
      write: [/smartstack/fleet/proxies/, /smartstack/fleet/acks/]        # may also read what it may write
      password: \${SYNAPSE_PASSWORD}
    operator:
      read: [/smartstack/fleet/]
      write: [/nerve/services/, /smartstack/config/, /smartstack/fleet/requests/]

A nerve may also ask the fleet: it writes /smartstack/fleet/requests/ and reads /smartstack/fleet/. fleet: PATH names another
path, fleet: false takes these rights away.

A key in read and write that ends with / stands for every key below it. A user without a password proves itself with a
certificate that has its name: etcd-cluster/certificates --access FILE makes one for each.

  --dry-run        print the changes, and change nothing
  --remove-others  also remove the users and roles that FILE does not list, except root
  --help           show this text
`;

await runCommand({
  usage,
  options: { 'dry-run': { type: 'boolean' }, 'remove-others': { type: 'boolean' } },
  async run({ values, words: [file, ...more] }) {
    if (file === undefined || more.length > 0) throw new UsageError('name exactly one FILE');
    const config = await readAccess(file);
    const ended = new AbortController();
    try {
      const options = { dryRun: values['dry-run'] === true, removeOthers: values['remove-others'] === true };
      const { done, others } = await applyAccess(config, options, ended.signal);
      process.stdout.write(done.length === 0 ? 'nothing to do\n' : visible(`${done.join('\n')}\n`));
      for (const [kind, names] of Object.entries({ users: others.users, roles: others.roles })) {
        if (names.length === 0) continue;
        process.stderr.write(
          `warning: these ${kind} are not in ${file} and keep their rights: ${names.join(', ')}; --remove-others removes them\n`,
        );
      }
    } finally {
      ended.abort();
    }
  },
});
