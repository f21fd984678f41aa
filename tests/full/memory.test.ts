import { test } from 'vitest';
import { MEMORY_MODELS, runMeasured } from '../model/memory-suite.ts';

test.each(Object.entries(MEMORY_MODELS))('a run over a %s takes what was said', (_, config) => runMeasured(config));
