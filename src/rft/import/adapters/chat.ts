/**
 * Conversations whose last user turn holds question and options: OpenRFT's SFT files (a bare array of turns to the line) and RL
 * files (`massage`), chat `messages`, ShareGPT's `conversations`, and prompt with completion. The key comes from the response, or
 * from a field beside the turns (OpenAI's RFT files); with neither, the record is a prompt without a key.
 */
import { readQuestion } from '../../dataset.ts';
import { ANSWER_FIELDS, answerField, answerOfResponse, labelOf, plainName } from '../answers.ts';
import { readPromptText } from '../prompt-text.ts';
import { isObject, isText, type RecordReading } from '../types.ts';
import type { Adapter } from './adapter.ts';

interface Conversation {
  readonly user: string;
  readonly response: string | undefined;
  /** What stands beside the turns. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly repairs: readonly string[];
}

const TURNS = ['messages', 'massage', 'conversations', 'conversation', 'prompt'] as const;
const PROMPTS = ['prompt', 'instruction', 'input'] as const;
const RESPONSES = ['completion', 'response', 'output', 'chosen'] as const;

const isTurns = (value: unknown): value is Record<string, unknown>[] =>
  Array.isArray(value) && value.length > 0 && value.every((turn) => isObject(turn) && ('role' in turn || 'from' in turn));

const turnsField = (value: Readonly<Record<string, unknown>>) => TURNS.find((field) => isTurns(value[field]));
const promptField = (value: Readonly<Record<string, unknown>>) =>
  RESPONSES.some((field) => field in value) ? PROMPTS.find((field) => isText(value[field])) : undefined;
const hasAnswerField = (value: Readonly<Record<string, unknown>>) =>
  Object.keys(value).some((field) => ANSWER_FIELDS.some((name) => name === plainName(field)));

const isConversation = (value: unknown) => isTurns(value) || (isObject(value) && (turnsField(value) ?? promptField(value)) !== undefined);

/** Its last turn is the user's, and a grader's field stands beside the turns. */
const isOpenAiRft = (value: unknown) => {
  if (!isObject(value)) return false;
  const field = turnsField(value);
  return field !== undefined && roleOf((value[field] as Record<string, unknown>[]).at(-1)!) === 'user' && hasAnswerField(value);
};

export const openaiRft: Adapter = {
  name: 'openai-rft',
  title: 'messages that end in a user turn, with a field for the grader (OpenAI RFT)',
  recognises: isOpenAiRft,
  read: ({ value }) => readConversation(value),
};

export const chat: Adapter = {
  name: 'chat',
  title: 'conversations: messages, massage (OpenRFT RL), bare arrays of turns (OpenRFT SFT), prompt and response',
  recognises: (value) => isConversation(value) && !isOpenAiRft(value),
  read: ({ value }) => readConversation(value),
};

function readConversation(value: unknown): RecordReading {
  const conversation = conversationOf(value);
  if ('problem' in conversation) return conversation;
  const { user, response, fields } = conversation;
  const reading = readPromptText(user);
  if ('problem' in reading) return reading;
  const repairs = [...conversation.repairs, ...reading.repairs];
  const { prompt } = reading;
  // A prompt is checked as a question of any key.
  const check = readQuestion({ ...prompt, answerKey: 'A' });
  if ('problem' in check) return check;

  const field = answerField(fields);
  if (response === undefined && field === undefined) return { prompt, repairs };
  const answerKey =
    field === undefined
      ? undefined
      : (labelOf(fields[field], prompt.choices.text) ?? answerOfResponse(String(fields[field]), prompt.choices.text));
  const key = answerKey ?? (response === undefined ? undefined : answerOfResponse(response, prompt.choices.text));
  if (key) return { question: { ...prompt, answerKey: key }, repairs };
  return response === undefined
    ? {
        problem: `${field} is ${JSON.stringify(fields[field!])}, which names none of the four options`,
        remedy: 'Give the letter of the right option, or its text.',
      }
    : {
        problem: 'the response names no option as its answer',
        remedy: 'End the response in \\boxed{X} with the letter of the right option, or leave the record out.',
      };
}

function conversationOf(value: unknown): Conversation | Extract<RecordReading, { problem: string }> {
  if (isTurns(value)) return fromTurns(value, {}, []);
  if (!isObject(value)) return { problem: 'the record is no conversation', remedy: 'Give messages with a role and a content each.' };
  const field = turnsField(value);
  if (field !== undefined) {
    const { [field]: turns, ...fields } = value;
    const response = RESPONSES.map((name) => value[name]).find((item) => item !== undefined);
    const repairs = field === 'massage' ? ['massage read as messages'] : [];
    return fromTurns([...(turns as Record<string, unknown>[]), ...(isTurns(response) ? response : [])], fields, repairs);
  }
  const prompt = promptField(value);
  if (prompt === undefined) return { problem: 'the record is no conversation', remedy: 'Give messages with a role and a content each.' };
  const { instruction, input } = value;
  const user = prompt === 'instruction' && isText(input) ? `${String(instruction)}\n\n${input}` : String(value[prompt]);
  const response = RESPONSES.map((name) => value[name]).find(isText);
  return {
    user,
    response,
    fields: Object.fromEntries(Object.entries(value).filter(([name]) => hasAnswerField({ [name]: 0 }))),
    repairs: [],
  };
}

const ROLES: Readonly<Record<string, string>> = { human: 'user', gpt: 'assistant', model: 'assistant' };

function roleOf({ role, from }: Readonly<Record<string, unknown>>): string {
  const name = String(role ?? from);
  return Object.hasOwn(ROLES, name) ? ROLES[name]! : name;
}

/** A turn's text; OpenAI also writes it as a list of parts. Undefined when there is anything but text. */
function textOf({ content, value }: Readonly<Record<string, unknown>>): string | undefined {
  const body = content ?? value;
  if (typeof body === 'string') return body;
  if (!Array.isArray(body) || !body.every((part) => isObject(part) && typeof part.text === 'string')) return undefined;
  return (body as { text: string }[]).map(({ text }) => text).join('\n');
}

function fromTurns(
  turns: readonly Readonly<Record<string, unknown>>[],
  fields: Readonly<Record<string, unknown>>,
  repairs: readonly string[],
): Conversation | Extract<RecordReading, { problem: string }> {
  const at = turns.findLastIndex((turn) => roleOf(turn) === 'user');
  if (at < 0) return { problem: 'the conversation has no user turn', remedy: 'Give the question as a turn with the role user.' };
  const user = textOf(turns[at]!);
  if (user === undefined)
    return {
      problem: 'the last user turn is not plain text',
      remedy: 'Questions with images or files can’t be asked here; leave the record out.',
    };
  const reply = turns.slice(at + 1).find((turn) => roleOf(turn) === 'assistant');
  return { user, response: reply && (textOf(reply) ?? ''), fields, repairs };
}
