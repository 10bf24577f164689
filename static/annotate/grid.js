// The grid of two sets of n images on a screen: both sets whole, and images as large as possible. Pure functions.

const LARGEST_CELL = 320; // the larger of the grid's two renditions
const MOST_WHOLE = 40; // images of a set; with more, the sets scroll together
const SMALLEST_CELL_SCROLLING = 72;
const NOTABLY = 1.15; // on a wide screen, sets stand above each other only if images grow by this factor
const NARROW = 600; // on an upright screen narrower than this, sets always stand above each other
const NEAR = 0.9; // a grid with full rows may have cells of this share of the largest size

function cellOf(count, columns, width, height, gap) {
  const rows = Math.ceil(count / columns);
  return Math.min((width - (columns - 1) * gap) / columns, (height - (rows - 1) * gap) / rows, LARGEST_CELL);
}

/** Return the grid for `count` images in a box: {columns, cell}. Prefer full rows, then squares, then width. */
function gridIn(count, width, height, gap) {
  const grids = Array.from({ length: count }, (_, index) => ({
    columns: index + 1,
    rows: Math.ceil(count / (index + 1)),
    cell: cellOf(count, index + 1, width, height, gap),
  }));
  const largest = Math.max(...grids.map((grid) => grid.cell));
  const near = grids.filter((grid) => grid.cell >= largest * NEAR);
  const rank = (grid) => [count % grid.columns === 0 ? 0 : 1, Math.abs(grid.columns - grid.rows), -grid.columns];
  near.sort((a, b) => rank(a).map((value, index) => value - rank(b)[index]).find((difference) => difference) ?? 0);
  return { columns: near[0].columns, cell: Math.floor(near[0].cell) };
}

/** Return the columns, the cell in CSS px, and if the sets stand beside or above each other. Both sets are equal. */
export function arrange(count, { width, height, gap, gutter }) {
  const beside = gridIn(count, (width - gutter) / 2, height, gap);
  const above = gridIn(count, width, (height - gutter) / 2, gap);
  const isPhone = width < NARROW && height > width;
  const isBeside = !isPhone && beside.cell * (width > height ? NOTABLY : 1) > above.cell;
  const best = isBeside ? beside : above;
  const sides = isBeside ? "beside" : "above";
  if (count <= MOST_WHOLE || best.cell >= SMALLEST_CELL_SCROLLING) return { ...best, sides, scrolls: false };
  const room = isBeside ? (width - gutter) / 2 : width;
  const columns = Math.max(1, Math.floor((room + gap) / (SMALLEST_CELL_SCROLLING + gap)));
  return { columns, cell: SMALLEST_CELL_SCROLLING, sides, scrolls: true };
}
