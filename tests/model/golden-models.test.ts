import { fullParameterSuite, goldenSuite } from './golden-suite.ts';

goldenSuite('cpu');
goldenSuite('plain');
fullParameterSuite('plain');
