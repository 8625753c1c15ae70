// Loaded before programs that tests start (`--import`): a passphrase costs them a thousandth of what it costs an attacker.
// Key files still say the real cost, which certs/key-file.test.ts pays; what is made here opens only with this loaded.
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const { argon2 } = crypto;
crypto.argon2 = (algorithm, parameters, callback) =>
  argon2(algorithm, { ...parameters, memory: 8 * parameters.parallelism, passes: 1 }, callback);
syncBuiltinESMExports();
