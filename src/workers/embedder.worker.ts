/** The module worker in which the sentence encoder lives; ending it is the only way to get all of its memory back. */
import { expose } from 'comlink';
import { EmbedderService } from './embedder.ts';

expose(new EmbedderService());
