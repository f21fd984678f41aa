import { agreementSuite, policySuite } from './policy-suite.ts';

policySuite('cpu');
policySuite('plain');
agreementSuite('plain');
