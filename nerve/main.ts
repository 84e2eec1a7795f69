#!/usr/bin/env node
import { main } from '../common/cli/daemon.ts';
import { nerveSource } from './program.ts';

await main(nerveSource);
