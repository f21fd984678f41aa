/** Whole models in the tiled lane: their kernels are tested one by one in every run, and compile too slowly on a processor for more. */
import { fullParameterSuite, goldenSuite } from '../model/golden-suite.ts';
import { agreementSuite, policySuite, prmAgreementSuite } from '../model/policy-suite.ts';

goldenSuite('tiled');
fullParameterSuite('tiled');
policySuite('tiled');
agreementSuite('tiled');
prmAgreementSuite('tiled');
