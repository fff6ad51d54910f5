/** The exports for launchers that run this service inside their own process. */
export { createAuthority, issueLeaf, replaceFile } from './access-tokens/certificates.ts'
export { createAccounts } from './accounts/index.ts'
export { createSigningKeys } from './access-tokens/signing-key-files.ts'
export { loadSigningKeys } from './access-tokens/signing-keys.ts'
export { createAuthService } from './app.ts'
export { runResetPassword } from './accounts/reset-password-command.ts'
export { directorySettings, readDirectory } from './directory/config.ts'
export { federationSettings, readFederation } from './federation/config.ts'
