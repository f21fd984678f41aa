import { expect, test } from 'vitest';
import { History, UNDO_DEPTH } from '../../src/notebook/history.ts';

const numbers = (n: number) => Array.from({ length: n }).reduce<History<number>>((history, _, i) => history.change(i + 1), History.of(0));

test('50 changes can be undone and done again, and no more', () => {
  let history = numbers(UNDO_DEPTH + 10);
  for (let i = 0; i < UNDO_DEPTH; i++) history = history.undo();
  expect([history.present, history.canUndo, history.canRedo]).toEqual([10, false, true]);
  expect(history.undo()).toBe(history);
  for (let i = 0; i < UNDO_DEPTH; i++) history = history.redo();
  expect([history.present, history.canRedo]).toEqual([UNDO_DEPTH + 10, false]);
});

test('a change after an undo forgets what was undone', () => {
  const history = numbers(3).undo().change(9);
  expect([history.present, history.canRedo, history.undo().present]).toEqual([9, false, 2]);
});

test('changes in a row about one topic are one step; an undo between them ends it', () => {
  const typed = History.of('').change('a', 'cell 1').change('ab', 'cell 1').change('abc', 'cell 1');
  expect(typed.undo().present).toBe('');
  expect(typed.change('x', 'cell 2').undo().present).toBe('abc');
  expect(typed.undo().redo().change('abcd', 'cell 1').undo().present).toBe('abc');
});
