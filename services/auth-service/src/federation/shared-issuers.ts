/**
 * Issuers that sign tokens for everybody, and the claims that name one customer, each with the form that its pattern
 * must have. Without such a claim a rule would accept the pipelines of all customers.
 * Source: GitHub, "OpenID Connect reference"; GitLab, "OpenID Connect (OIDC) Authentication Using ID Tokens".
 */
const SHARED_ISSUERS: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  'https://token.actions.githubusercontent.com': {
    repository: /^[^*/]+\//,
    repository_id: /^\d+$/,
    repository_owner: /^[^*]+$/,
    repository_owner_id: /^\d+$/,
  },
  'https://gitlab.com': {
    project_path: /^[^*/]+\//,
    project_id: /^\d+$/,
    namespace_path: /^[^*/]+(?:\/|$)/,
    namespace_id: /^\d+$/,
  },
}

/** The reason why the claims of a rule would accept every customer of a shared issuer; undefined if they do not. */
export function sharedIssuerFault(
  issuer: string,
  claims: Readonly<Record<string, string>>,
): string | undefined {
  const forms = SHARED_ISSUERS[issuer]
  if (forms === undefined) return undefined
  if (Object.entries(forms).some(([name, form]) => form.test(claims[name] ?? ''))) return undefined
  const names = Object.keys(forms).join(', ')
  return `must have one of the claims ${names}, which name the owner, because anyone can get tokens from ${issuer}`
}
