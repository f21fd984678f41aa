import { join } from 'node:path';
import { RuleTester } from 'eslint';
import ts from 'typescript-eslint';
import { describe, test } from 'vitest';
import rule from '../../scripts/eslint/imports-go-down.mjs';

RuleTester.describe = describe;
RuleTester.it = test;

const file = (path: string) => join(process.cwd(), path);
const valid = (from: string, code: string) => ({ name: `${from}: ${code}`, filename: file(from), code });
const invalid = (from: string, code: string) => ({ ...valid(from, code), errors: 1 });

new RuleTester({ languageOptions: { parser: ts.parser } }).run('imports go down only', rule, {
  valid: [
    valid(
      'src/nn/linear.ts',
      "import source from '../../shaders/linear.wgsl?raw'; import { Gpu } from '../gpu/device.ts'; import './reduce.ts';",
    ),
    valid('src/model/policy.ts', "import type { Policy } from '../rft/policy.ts';"),
    valid('src/rft/config.ts', "import * as v from 'valibot'; import { Seed } from '../base/random.ts';"),
    valid('src/rft/import/csv.ts', "import Papa from 'papaparse'; await import('hyparquet/src/column.js');"),
    valid('src/cli/main.ts', "import { readFileSync } from 'node:fs'; import '../model/llama.ts'; import '../rft/ppo.ts';"),
    valid('src/lab/stages/Sft.svelte', "import { mount } from 'svelte'; import '../../workers/trainer.ts'; import '../parts/card.ts';"),
    valid('tests/any.test.ts', "import '../src/lab/main.ts'; import 'anything';"),
  ],
  invalid: [
    invalid('src/gpu/device.ts', "import '../nn/rmsnorm.ts';"),
    invalid('src/nn/policy.ts', "import { POLICIES } from '../rft/policy.ts';"),
    invalid('src/model/policy.ts', "import { App } from '../lab/app.ts';"),
    invalid('src/rft/ppo.ts', "import type { Gpu } from '../gpu/device.ts';"),
    invalid('src/rft/ppo.ts', "export * from '../model/llama.ts';"),
    invalid('src/notebook/store.ts', "import { tick } from 'svelte';"),
    invalid('src/lab/App.ts', "const { Gpu } = await import('../gpu/device.ts');"),
    invalid('src/lab/App.ts', "new Worker(new URL('../model/odd.worker.ts', import.meta.url));"),
    invalid('src/base/random.ts', "import { readFileSync } from 'node:fs';"),
  ],
});
