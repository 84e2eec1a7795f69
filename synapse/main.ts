#!/usr/bin/env node
import { main } from '../common/cli/daemon.ts';
import { synapseSource } from './program.ts';

await main(synapseSource);
