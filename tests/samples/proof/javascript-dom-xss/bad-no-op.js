const board = document.getElementById("board");
const params = new URLSearchParams(location.search);

const escapeHtml = (text) => text;

function greet() {
  const name = params.get("name");
  if (!name) {
    return;
  }
  board.innerHTML = escapeHtml(name);
  board.classList.add("open");
}

greet();
