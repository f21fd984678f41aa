import { agreementSuite, policySuite, prmAgreementSuite } from './policy-suite.ts';

policySuite('cpu');
policySuite('plain');
agreementSuite('plain');
prmAgreementSuite('plain');
