/** The module worker in which the whole engine lives. */
import { expose } from 'comlink';
import { Trainer } from './trainer.ts';

expose(new Trainer());
