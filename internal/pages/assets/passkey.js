// Asks the browser for a passkey, or to make one, and sends the form with it.
const button = document.getElementById('passkey')
const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

const ask = async () => {
  const publicKey = JSON.parse(button.dataset.options)
  publicKey.challenge = bytes(publicKey.challenge)
  for (const known of [...(publicKey.allowCredentials ?? []), ...(publicKey.excludeCredentials ?? [])]) known.id = bytes(known.id)
  if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id)
  const made = await (publicKey.user ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey }))
  const response = {}
  for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    if (made.response[name]) response[name] = text(made.response[name])
  }
  return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response })
}

const set = (name, value) => {
  const field = button.form.elements[name] ?? button.form.appendChild(Object.assign(document.createElement('input'), { type: 'hidden', name }))
  field.value = value
}

const failed = () => {
  document.getElementById('passkey-failed')?.remove()
  const said = Object.assign(document.createElement('p'), { id: 'passkey-failed', className: 'wrong', role: 'alert', textContent: button.dataset.failed })
  button.before(said)
}

if (button && window.PublicKeyCredential) {
  button.hidden = false
  button.addEventListener('click', async () => {
    try {
      set('credential', await ask())
      set('challenge', button.dataset.challenge)
      button.form.submit()
    } catch {
      failed()
    }
  })
}
