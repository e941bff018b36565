const board = document.getElementById("board");
const params = new URLSearchParams(location.search);

function greet() {
  const name = params.get("name");
  if (!name) {
    return;
  }
  document.write(name);
  board.classList.add("open");
}

greet();
