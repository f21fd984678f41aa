import { expect, test } from 'vitest';
import { zip } from '../../src/lab/zip.ts';

/** By Python's zipfile: ZIP_STORED, date_time (1980, 1, 1, 0, 0, 0), create_system 3, external_attr 0o644 << 16. */
const EXPECTED =
  'UEsDBBQAAAAAAAAAIQC4tSwMBwAAAAcAAAATAAAAYWRhcHRlcl9jb25maWcuanNvbnsiciI6NH1QSwMEFAAAAAAAAAAhAMzTWlEFAAAABQAAAAUAAABiLmJpbgABAgMEUEsBAhQDFAAAAAAAAAAhALi1LAwHAAAABwAAABMAAAAAAAAAAAAAAKQBAAAAAGFkYXB0ZXJfY29uZmlnLmpzb25QSwECFAMUAAAAAAAAACEAzNNaUQUAAAAFAAAABQAAAAAAAAAAAAAApAE4AAAAYi5iaW5QSwUGAAAAAAIAAgB0AAAAYAAAAAAA';

test('an archive has the bytes that Python gives it', () => {
  const archive = zip([
    { name: 'adapter_config.json', data: new TextEncoder().encode('{"r":4}') },
    { name: 'b.bin', data: Uint8Array.of(0, 1, 2, 3, 4) },
  ]);
  expect(Buffer.from(archive).toString('base64')).toBe(EXPECTED);
});
