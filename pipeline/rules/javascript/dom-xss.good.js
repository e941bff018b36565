// Text that stays text.
import DOMPurify from 'dompurify'

const params = new URLSearchParams(window.location.search)
document.getElementById('name').textContent = params.get('name')
document.getElementById('name').innerHTML = DOMPurify.sanitize(params.get('name'))
document.getElementById('name').innerHTML = '<b>' + escapeHtml(params.get('name')) + '</b>'
document.getElementById('page').innerHTML = `page ${Number(params.get('page'))}`
document.getElementById('box').innerHTML = ''
document.getElementById('box').innerHTML = '<p>Loading</p>'
$('#name').text(location.hash)

async function load() {
  const answer = await fetch('/count')
  const { count } = await answer.json()
  document.getElementById('count').textContent = count
}

function clear(element, template) {
  element.innerHTML = ''
  element.innerHTML = template
}
