// An application in Express whose users log in with a library that the command line
// names. It refreshes whenever its page is asked for.
import { randomBytes } from 'node:crypto'
import { ExpressAuth, getSession } from '@auth/express'
import express from 'express'
import connect from 'express-openid-connect'
import * as client from 'openid-client'

const { ISSUER, URL: base, CALLBACK, CLIENT_ID, CLIENT_SECRET, EMAIL, LISTEN } = process.env
const scope = 'openid email profile'
const app = express()
app.get('/bye', (_, answer) => answer.end())
const welcome = (answer, email) => (email === EMAIL ? answer.send('welcome') : answer.status(403).send(`who is ${email}?`))
const endSession = (config, hint) =>
  client.buildEndSessionUrl(config, { id_token_hint: hint, post_logout_redirect_uri: base + '/bye' }).href

const libraries = {
  async 'openid-client'() {
    const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET)
    const users = new Map()
    const cookies = (request) => Object.fromEntries((request.headers.cookie ?? '').split('; ').map((pair) => pair.split('=')))
    const keep = (answer, value) => {
      const id = randomBytes(16).toString('hex')
      users.set(id, value)
      answer.cookie('app', id, { httpOnly: true, sameSite: 'lax' })
    }
    const begin = async (answer) => {
      const verifier = client.randomPKCECodeVerifier()
      const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() }
      keep(answer, { checks })
      const to = client.buildAuthorizationUrl(config, {
        redirect_uri: CALLBACK,
        scope,
        state: checks.expectedState,
        nonce: checks.expectedNonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      })
      answer.redirect(to.href)
    }
    app.get('/callback', async (request, answer) => {
      const { checks } = users.get(cookies(request).app)
      const tokens = await client.authorizationCodeGrant(config, new URL(base + request.originalUrl), checks)
      keep(answer, { tokens, email: tokens.claims().email })
      answer.redirect('/')
    })
    app.get('/', async (request, answer) => {
      const user = users.get(cookies(request).app)
      if (!user?.tokens) return begin(answer)
      try {
        user.tokens = await client.refreshTokenGrant(config, user.tokens.refresh_token)
      } catch (error) {
        if (!(error instanceof client.ResponseBodyError)) throw error
        return begin(answer)
      }
      welcome(answer, user.email)
    })
    app.get('/logout', (request, answer) => {
      const { tokens } = users.get(cookies(request).app)
      users.delete(cookies(request).app)
      answer.redirect(endSession(config, tokens.id_token))
    })
  },

  async 'express-openid-connect'() {
    const ended = new Map()
    const store = {
      get: (id, done) => done(null, ended.get(id)),
      set: (id, value, done) => done(null, ended.set(id, value)),
      destroy: (id, done) => done(null, ended.delete(id)),
    }
    app.use(
      connect.auth({
        issuerBaseURL: ISSUER,
        baseURL: base,
        clientID: CLIENT_ID,
        clientSecret: CLIENT_SECRET,
        secret: CLIENT_SECRET,
        idTokenSigningAlg: 'ES256',
        authorizationParams: { response_type: 'code', scope },
        authRequired: false,
        idpLogout: true,
        httpTimeout: 60_000,
        backchannelLogout: { store },
        routes: { callback: '/callback', postLogoutRedirect: '/bye', backchannelLogout: '/ended' },
      }),
    )
    app.get('/', connect.requiresAuth(), async (request, answer) => {
      await request.oidc.accessToken.refresh()
      welcome(answer, request.oidc.user.email)
    })
  },

  async authjs() {
    const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET)
    const auth = {
      trustHost: true,
      secret: CLIENT_SECRET,
      providers: [
        {
          id: 'keyturn',
          name: 'Keyturn',
          type: 'oidc',
          issuer: ISSUER,
          clientId: CLIENT_ID,
          clientSecret: CLIENT_SECRET,
          checks: ['pkce', 'state', 'nonce'],
          authorization: { params: { scope } },
        },
      ],
      callbacks: {
        async jwt({ token, account }) {
          if (account) return { ...token, refresh: account.refresh_token, id: account.id_token }
          try {
            const next = await client.refreshTokenGrant(config, token.refresh)
            return { ...token, refresh: next.refresh_token, id: next.id_token }
          } catch (error) {
            if (!(error instanceof client.ResponseBodyError)) throw error
            return null
          }
        },
        session: ({ session, token }) => ({ ...session, id: token.id }),
      },
    }
    app.use('/auth', ExpressAuth(auth))
    app.get('/', async (request, answer) => {
      const session = await getSession(request, auth)
      if (!session) return answer.redirect('/auth/signin?callbackUrl=' + encodeURIComponent(base + '/'))
      welcome(answer, session.user.email)
    })
    app.get('/logout', async (request, answer) => {
      const session = await getSession(request, auth)
      answer.clearCookie('authjs.session-token')
      answer.redirect(endSession(config, session.id))
    })
  },
}

await libraries[process.argv[2]]()
const [host, port] = LISTEN.split(':')
app.listen(Number(port), host)
