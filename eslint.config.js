import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import { defineConfig, globalIgnores } from 'eslint/config';
import globals from 'globals';
import ts from 'typescript-eslint';
import importsGoDown from './scripts/eslint/imports-go-down.mjs';
import svelteConfig from './svelte.config.js';

const random = { object: 'Math', property: 'random', message: 'Draw from a Seed (src/base/random.ts).' };
const clock = { object: 'Date', property: 'now', message: 'No decision reads the clock; performance.now() is for durations.' };

export default defineConfig(
  globalIgnores(['dist/', 'dist-cli/', '.cache/', 'models/', 'public/', 'screenshots/']),
  js.configs.recommended,
  ts.configs.strictTypeChecked,
  svelte.configs.recommended,
  {
    languageOptions: {
      globals: { ...globals.browser, ...globals.node },
      parserOptions: { projectService: true, extraFileExtensions: ['.svelte'] },
    },
    plugins: { house: { rules: { 'imports-go-down': importsGoDown } } },
    rules: {
      'house/imports-go-down': 'error',
      'no-restricted-properties': ['error', random],
      'svelte/no-at-html-tags': 'error',
      // The compiler has noUncheckedIndexedAccess, and array code says with `!` what it knows.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off', // Classes implement asynchronous interfaces.
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' },
      ],
      'no-control-regex': 'off', // Names from files are checked for control characters.
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['src/{base,gpu,nn,model,rft}/**'],
    rules: { 'no-restricted-properties': ['error', random, clock] },
  },
  { files: ['**/*.mjs', '**/*.js'], extends: [ts.configs.disableTypeChecked] },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
  },
);
