import type { SourcePlugin } from '../../source.ts';
import {
  createZookeeperSource,
  type ZookeeperOptions,
  zookeeperSchema,
  zookeeperWarnings,
} from './zookeeper/source.ts';

/** The source `zookeeper`. */
export const source: SourcePlugin<ZookeeperOptions> = {
  description: 'Follows what nerve or a Finagle server announces in ZooKeeper.',
  schema: zookeeperSchema,
  example: { hosts: ['127.0.0.1:9'], path: '/smartstack/services/api' },
  create: createZookeeperSource,
  warnings: zookeeperWarnings,
};
