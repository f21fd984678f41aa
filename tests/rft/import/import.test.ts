import { describe, expect, test } from 'vitest';
import { InputError } from '../../../src/base/errors.ts';
import { parseDataset } from '../../../src/rft/dataset.ts';
import { type ImportOptions, type ImportResult, importQuestions } from '../../../src/rft/import/import.ts';
import { FORMS, QUESTIONS, bytes, foreignParquet, lines, optionLines, parquet, table, turns, userTurn } from './fixtures.ts';

const read = (file: string, content: string | Uint8Array, options: ImportOptions = {}): Promise<ImportResult> =>
  importQuestions(file, typeof content === 'string' ? bytes(content) : content, options);

async function failure(file: string, content: string | Uint8Array, options: ImportOptions = {}): Promise<InputError> {
  const error: unknown = await read(file, content, options).then(() => undefined, (e: unknown) => e); // prettier-ignore
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).toContain(file);
  expect((error as InputError).remedy.length).toBeGreaterThan(10);
  return error as InputError;
}

const [first, second, third] = QUESTIONS as [(typeof QUESTIONS)[0], (typeof QUESTIONS)[0], (typeof QUESTIONS)[0]];
const hash = (await parseDataset('x', lines(QUESTIONS))).sha256;

describe('the same questions come out of every form of file, with the same hash', () => {
  test.each(FORMS)('$file', async ({ file, bytes: content, format, adapter }) => {
    const result = await read(file, content);
    expect(result.dataset.questions).toEqual(QUESTIONS);
    expect(result).toMatchObject({ name: file, format, adapter, sha256: hash, records: QUESTIONS.length, refused: [], keyless: [] });
  });

  test('UTF-16, as spreadsheets save Unicode text', async () => {
    const text = `\uFEFF${table('\t', ['question', 'A', 'B', 'C', 'D', 'answer'])}`;
    const utf16 = new Uint8Array(Uint16Array.from(text, (character) => character.charCodeAt(0)).buffer);
    expect((await read('unicode.tsv', utf16)).sha256).toBe(hash);
  });

  test('Parquet written by pyarrow: Zstandard, lists, 64-bit integers, two row groups', async () => {
    const { dataset, columns } = await read('foreign.parquet', foreignParquet());
    expect(dataset.questions.map(({ question, choices, answerKey }) => [question, choices.text.length, answerKey])).toEqual([
      ['Which planet is the largest?', 4, 'B'],
      ['Which metal is liquid at 20 °C?', 4, 'C'],
      ['How many bonds does carbon form?', 4, 'A'],
    ]);
    expect(columns).toEqual({ question: 'question', options: ['choices'], answer: 'answer', answer_as: 'from_0' });
  });
});

describe('backslashes that JSON took are put back, and the report says so', () => {
  test('\\boxed and \\frac, written with one backslash, in a prompt without a key', async () => {
    const text =
      '{"massage": [{"role": "user", "content": "Answer in \\boxed{X}.\\n\\nWhat is \\frac{1}{2}?\\n\\nA. 1\\nB. 2\\nC. 3\\nD. \\beta\\n"}]}';
    const { keyless, repairs } = await read('rl.jsonl', text);
    expect(keyless[0]).toMatchObject({ question: 'What is \\frac{1}{2}?', choices: { text: ['1', '2', '3', '\\beta'] } });
    expect(repairs.map(({ where }) => where)).toEqual(['line 1', 'line 1']);
    expect(repairs[0]!.what).toContain('\\boxed, \\beta, \\frac');
    expect(repairs[1]!.what).toBe('massage read as messages');
  });

  test('a tab that begins a LaTeX command, and no other tab', async () => {
    const stem = 'A table:\n1\t2\n3\ttan\nGiven \\text{T} = 3';
    const record = JSON.stringify({ ...first, question: stem }).replace('\\\\text', '\\text');
    const { dataset, repairs } = await read('x.jsonl', record);
    expect(dataset.questions[0]!.question).toBe(stem);
    expect(repairs).toHaveLength(1);
  });

  test('commands that are no JSON escape at all', async () => {
    const { dataset, repairs } = await read(
      'x.jsonl',
      JSON.stringify({ ...first, question: 'Is ALPHA \\n (x) 1?' })
        .replace('ALPHA', '\\alpha \\(')
        .replace('(x)', '\\)'),
    );
    expect(dataset.questions[0]!.question).toBe('Is \\alpha \\( \\n \\) 1?');
    expect(repairs).toHaveLength(1);
  });

  test('the release’s RL prompts find their keys in the training file, in whatever order the options stand', async () => {
    const turned = { ...second, choices: { ...second.choices, text: [...second.choices.text].reverse() }, answerKey: 'B' } as const;
    const text = lines([{ massage: turns(first) }, { massage: turns(turned) }, { massage: turns({ ...third, question: 'Another?' }) }]);
    const { dataset, keyless, repairs } = await read('rl.jsonl', text, { answers: QUESTIONS });
    expect(dataset.questions).toEqual([first, turned]);
    expect(keyless.map(({ question }) => question)).toEqual(['Another?']);
    expect(repairs.filter(({ what }) => what.includes('key')).map(({ where }) => where)).toEqual(['line 1', 'line 2']);
  });
});

describe('a bad record is refused by its place and reason, and costs no other', () => {
  const five = { ...first, choices: { text: ['Remember the rule.', ...first.choices.text], label: ['A', 'B', 'C', 'D'] } };
  const cases: [string, string, string, string][] = [
    ['five texts and four labels', lines([first, five, second]), 'line 2', 'choices.text has 5 options in place of four, and choices.label names 4'],
    ['a true-or-false question', lines([first, { question: 'Is it?', choices: { text: [], label: [] }, answerKey: '', type: 'true_or_false' }]), 'line 2', 'its type is "true_or_false", and choices.text has 0 options'],
    ['an open question', lines([first, { question: 'Why?', answer: 'Because.', answerKey: '', choices: { text: [], label: [] }, type: 'open-ended-qa' }]), 'line 2', 'its type is "open-ended-qa"'],
    ['a broken line', `${lines([first])}\n{"question": "cut\n${lines([second])}`, 'line 3', 'not valid JSON'],
    ['a record with a missing quote in an indented array', JSON.stringify([first, second, third], null, 1).replace('"neutral"', '"neutral'), 'record 2 (line 20)', 'not valid JSON'],
    ['a key beyond the options', lines([first, { ...second, answerKey: 'E' }]), 'line 2', 'answerKey "E" is not among the labels'],
    ['a response without an answer', lines([[...turns(first), { role: 'assistant', content: '\\boxed{B}' }], [...turns(second), { role: 'assistant', content: 'No idea.' }]]), 'line 2', 'the response names no option'],
    ['a user turn without options', lines([{ messages: turns(first), answer: 'B' }, { messages: [{ role: 'user', content: 'Why?' }], answer: 'B' }]), 'line 2', 'no four option lines'],
    ['a user turn with five options', lines([{ messages: turns(first), answer: 'B' }, { messages: [{ role: 'user', content: `${userTurn(second)}\nE. none` }], answer: 'B' }]), 'line 2', 'more than four options'],
    ['an image', lines([{ messages: turns(first), answer: 'B' }, { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'x' }] }], answer: 'B' }]), 'line 2', 'not plain text'],
    ['a grader’s field that names no option', lines([{ messages: turns(first), answer: 'B' }, { messages: turns(second), answer: 'lead' }]), 'line 2', 'answer is "lead", which names none'],
    ['another kind of record', lines([first, second, { messages: turns(first) }]), 'line 3', 'not like the others'],
  ]; // prettier-ignore

  test.each(cases)('%s', async (_, text, where, reason) => {
    const { refused, dataset } = await read('x.jsonl', text);
    expect(refused).toHaveLength(1);
    expect(refused[0]!.where).toBe(where);
    expect(refused[0]!.reason).toContain(reason);
    expect(refused[0]!.remedy.length).toBeGreaterThan(10);
    expect(dataset.questions.length).toBeGreaterThan(0);
    expect(dataset.questions.every((question) => QUESTIONS.some((known) => JSON.stringify(known) === JSON.stringify(question)))).toBe(true);
  });

  test('rows of a table are named by the line on which they begin, quoted line breaks counted', async () => {
    const text = `${table(',', ['question', 'A', 'B', 'C', 'D', 'answer'])}Short?,a,b,c,d,E\nLong?,a,b,c,d,A,extra\n\n"Open,a,b,c,d,A\n`;
    const { refused, dataset } = await read('x.csv', text);
    expect(dataset.questions).toEqual(QUESTIONS);
    expect(refused.map(({ where, reason }) => `${where}: ${reason.slice(0, 24)}`)).toEqual([
      'line 12: answer is "E", which nam',
      'line 13: the row has 7 cells, and',
      'line 15: a quotation mark is out ',
    ]);
  });

  test('a file whose end is missing keeps what is whole', async () => {
    const text = JSON.stringify([first, second, third]);
    const { refused, dataset } = await read('cut.json', text.slice(0, -40));
    expect(dataset.questions).toEqual([first, second]);
    expect(refused.map(({ reason }) => reason).join()).toContain('ends before its array is closed');
  });

  test('bytes that are not UTF-8 cost their record in JSON, and are read as Windows-1252 in a table', async () => {
    const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
    const { refused, dataset } = await read('x.jsonl', latin(lines([{ ...first, question: 'Größe?' }, first])));
    expect(refused.map(({ where }) => where)).toEqual(['line 1']);
    expect(dataset.questions).toEqual([first]);
    const csv = await read('x.csv', latin('question,A,B,C,D,answer\nGröße?,a,b,c,d,A\n'));
    expect(csv.dataset.questions[0]!.question).toBe('Größe?');
    expect(csv.repairs).toHaveLength(1);
  });
});

describe('a file with nothing to read is an InputError that says why', () => {
  test('the first reasons are named', async () => {
    const { message } = await failure(
      'x.jsonl',
      lines([
        { ...first, answerKey: 'E' },
        { ...first, question: '' },
        { ...first, choices: 3 },
        { ...first, answerKey: 3 },
      ]),
    );
    expect(message).toMatch(/line 1: answerKey "E".*line 2: question is missing.*line 3: choices is missing.*and 1 more/);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ['empty.csv', ' \n', /is empty/],
    ['array.json', '[]', /holds no record/],
    ['broken.json', '{"question": "x",\n "choices": }', /not valid JSON.*line 2, column 13/],
    ['broken.jsonl', 'question: x\nanswer: y', /line 1: not valid JSON/],
    ['prose.txt', 'Dear reader, here are my questions.', /holds no record/],
    ['twice.csv', 'question,A,A,C,D,answer\nx,a,b,c,d,A', /names the column A twice/],
    ['lists.json', JSON.stringify({ train: [first], test: [second] }), /several lists of records: train, test/],
    ['book.xlsx', new Uint8Array([0x50, 0x4b, 3, 4, 20]), /ZIP archive or a spreadsheet/],
    ['data.jsonl.gz', new Uint8Array([0x1f, 0x8b, 8]), /gzip/],
    ['binary.csv', new Uint8Array([65, 0, 66, 0, 0]), /zero bytes/],
    ['cut.parquet', parquet().slice(0, 60), /can't be read as Parquet/],
    ['deep.json', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, /nested more than 200/],
  ])('%s', async (file, content, message) => {
    expect((await failure(file, content)).message).toMatch(message);
  });

  test('a file of 65 MiB is not read', async () => {
    expect((await failure('large.csv', new Uint8Array(65 * 2 ** 20))).message).toMatch(/65 MiB/);
  });
});

describe('columns', () => {
  const odd = table(',', ['Frage', 'w', 'x', 'y', 'z', 'Lösung']);
  const columns = { question: 'Frage', options: ['w', 'x', 'y', 'z'], answer: 'Lösung' };

  test('names that tell nothing are asked for, and a mapping answers', async () => {
    const { message, remedy } = await failure('odd.csv', odd);
    expect(message).toContain('holds the question, the options, the answer');
    expect(remedy).toContain('Frage, w, x, y, z, Lösung');
    const result = await read('odd.csv', odd, { columns });
    expect(result.dataset.questions).toEqual(QUESTIONS);
    expect(result.columns).toEqual({ ...columns, answer_as: 'letter' });
  });

  test('a mapping that names what is not there is refused', async () => {
    expect((await failure('odd.csv', odd, { columns: { ...columns, answer: 'Antwort' } })).message).toContain('no column Antwort');
    expect((await failure('odd.csv', odd, { columns: { ...columns, options: ['w', 'x'] } })).message).toContain('2 columns');
  });

  test.each([
    ['from_0', (i: number) => `${i}`],
    ['from_1', (i: number) => `${i + 1}`],
    ['text', (i: number, texts: readonly string[]) => texts[i]!],
  ])('answers %s', async (form, write) => {
    const rows = QUESTIONS.map(({ question, choices, answerKey }) => ({
      question,
      a: choices.text[0],
      b: choices.text[1],
      c: choices.text[2],
      d: choices.text[3],
      answer: write('ABCD'.indexOf(answerKey), choices.text),
    }));
    const result = await read('x.jsonl', lines(rows));
    expect(result.dataset.questions).toEqual(QUESTIONS);
    expect(result.columns?.answer_as).toBe(form);
  });

  test('numbers 1 to 3 alone leave the base open, which is asked for', async () => {
    const text = 'question,A,B,C,D,answer\nx,a,b,c,d,1\ny,a,b,c,d,2\n';
    expect((await failure('x.csv', text)).message).toContain('whether the first option is 0 or 1');
    const from = (answer_as: 'from_0' | 'from_1') => read('x.csv', text, { columns: { answer_as } });
    expect((await from('from_0')).dataset.questions.map(({ answerKey }) => answerKey)).toEqual(['B', 'C']);
    expect((await from('from_1')).dataset.questions.map(({ answerKey }) => answerKey)).toEqual(['A', 'B']);
  });
});

describe('the text of a user turn', () => {
  const ask = async (content: string) =>
    (await read('x.jsonl', lines([{ messages: [{ role: 'user', content }], answer: 'B' }]))).dataset.questions[0]!;

  test.each([
    ['brackets', '(A) one\n(B) two\n(C) three\n(D) four'],
    ['lower case', 'a) one\nb) two\nc) three\nd) four'],
    ['bold, in a list', '- **A.** one\n- **B.** two\n- **C.** three\n- **D.** four'],
    ['a cue behind them', 'A. one\nB. two\nC. three\nD. four\n\nAnswer:'],
  ])('options with %s', async (_, options) => {
    expect(await ask(`Which?\n\n${options}`)).toMatchObject({ question: 'Which?', choices: { text: ['one', 'two', 'three', 'four'] } });
  });

  test('an option of several lines, a stem with a list of its own, and examples before', async () => {
    const stem = 'Given are\n\nA. a rod\nB. a wheel\n\nWhich turns?';
    const text = `Question: x\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: A\n[End of examples]\n${stem}\n\nA. the\nrod\nB. the wheel\nC. both\nD. none`;
    expect(await ask(text)).toMatchObject({ question: stem, choices: { text: ['the\nrod', 'the wheel', 'both', 'none'] } });
  });

  test('what stands behind the options is left out and reported', async () => {
    const { dataset, repairs } = await read(
      'x.jsonl',
      lines([{ messages: [{ role: 'user', content: `Which?\n\n${optionLines(first)}\n\nBe brief, friend.` }], answer: 'B' }]),
    );
    expect(dataset.questions[0]!.choices.text[3]).toBe('oxygen');
    expect(repairs.map(({ what }) => what)).toEqual(['left out what stands behind the options: "Be brief, friend."']);
  });
});
