//! Which lines may cover another one, without looking at all of them.

use crate::lines::Lines;

/// For the dimensions with most classes, the lines that hold a class.
pub(super) struct Index {
    trees: Vec<Tree>,
}

/// A dimension cut in halves again and again; each line stands at the largest parts that its set,
/// gaps included, fills.
struct Tree {
    dimension: u32,
    /// How many classes, rounded up to a power of two.
    width: u32,
    /// The lines at each part, by index; the parts of a part are at twice its place and one behind.
    parts: Vec<Vec<u32>>,
}

impl Index {
    /// Of a side, the lines that are there.
    pub(super) fn new(lines: &Lines, side: usize, alive: &[bool], classes: &[u32]) -> Self {
        let mut dimensions: Vec<u32> = (0..classes.len() as u32).collect();
        dimensions.sort_by_key(|at| std::cmp::Reverse(classes[*at as usize]));
        let trees = dimensions.into_iter().take(INDEXED).map(|dimension| {
            let width = classes[dimension as usize].next_power_of_two();
            let mut parts = vec![vec![]; 2 * width as usize];
            let there = (0..).zip(&lines.sides[side]).filter(|(index, _)| alive[*index as usize]);
            for (index, line) in there {
                let cell = lines.cells(line).iter().find(|cell| cell.dimension == dimension);
                let Some(cell) = cell else {
                    parts[1].push(index);
                    continue;
                };
                let (mut low, mut high) = (cell.hull.0 + width, cell.hull.1 + width + 1);
                while low < high {
                    if low % 2 == 1 {
                        parts[low as usize].push(index);
                        low += 1;
                    }
                    if high % 2 == 1 {
                        high -= 1;
                        parts[high as usize].push(index);
                    }
                    (low, high) = (low / 2, high / 2);
                }
            }
            Tree { dimension, width, parts }
        });
        Self { trees: trees.collect() }
    }

    /// The lines from `start` to before a line that may cover it, as few as the index knows.
    pub(super) fn covering<'a>(
        &'a self,
        lines: &Lines,
        (side, line): (usize, u32),
        start: u32,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let cells = lines.cells(&lines.sides[side][line as usize]);
        let paths = self.trees.iter().filter_map(|tree| {
            let cell = cells.iter().find(|cell| cell.dimension == tree.dimension)?;
            let mut parts: Vec<&[u32]> = Vec::new();
            let mut at = cell.hull.0 + tree.width;
            while at > 0 {
                let part = &tree.parts[at as usize];
                let from = part.partition_point(|other| *other < start);
                let to = part.partition_point(|other| *other < line);
                parts.push(&part[from..to]);
                at /= 2;
            }
            Some(parts)
        });
        let count = |parts: &Vec<&[u32]>| parts.iter().map(|part| part.len()).sum::<usize>();
        let fewest = paths.min_by_key(count);
        // A line that no tree tells anything about is wide: little covers it, and less is lost.
        fewest.into_iter().flatten().flatten().copied()
    }
}

/// How many dimensions are indexed.
const INDEXED: usize = 3;
