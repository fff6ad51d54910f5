/** The general part of the OpenAPI document of auth-service's public API. */
export const API_DESCRIPTION = {
  name: 'auth',
  title: 'Accounts and tokens API',
  description: `Users, registry tokens, personal tokens and access tokens.

Clients of the users API and of the provider's API (\`/containerregistries\`) send Basic credentials of a user, or an
identity token as Bearer: an access token that was requested with a password and without a scope. Registry tokens, and
personal tokens with scopes, are for the token endpoint and the registry only.

The users API and all other APIs report errors as problems (RFC 9457): \`detail\` says what was wrong, and \`field\` names the
invalid field of a request. The token endpoint and the provider's API have their own formats.`,
  tags: [
    {
      name: 'access tokens',
      description: 'The token endpoint of the registry, for docker and other clients.',
    },
    { name: 'keys', description: 'The public keys and the certificate that verify access tokens.' },
    { name: 'users', description: 'Accounts of users.' },
    { name: 'registry tokens', description: "Credentials for machines, in the provider's format." },
    {
      name: 'browser sessions',
      description:
        'Sessions of people who signed in at `/sign-in`. The other management APIs of this document accept them.',
    },
    {
      name: 'access',
      description: 'Grants of namespaces, groups, and explanations of rights.',
    },
    { name: 'personal tokens', description: 'Credentials that users create for themselves.' },
    {
      name: 'trust rules',
      description: 'Rules that give access to tokens of other issuers, without a stored secret.',
    },
    { name: 'audit log', description: 'Events: changes and refusals, with their principals.' },
    { name: 'registries', description: "This installation as the one registry of the provider's API." },
  ],
} as const
