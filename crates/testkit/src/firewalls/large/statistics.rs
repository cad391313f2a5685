//! What the rules of each shape are like, in numbers.

/// The numbers of a shape. Percentages are of rules unless said otherwise.
pub(super) struct Statistics {
    /// Rules that state both addresses, the source only, the destination only, neither.
    pub(super) sides: [usize; 4],
    pub(super) src: Side,
    pub(super) dst: Side,
    /// Of a hundred rules, how many are followed by one for the same addresses and another service.
    pub(super) repeated: usize,
    /// TCP, UDP, ICMP, GRE, any.
    pub(super) protocols: [usize; 5],
    /// Of TCP and UDP rules: one port, a range, 1024 and above, any.
    pub(super) src_ports: [usize; 4],
    /// Of TCP and UDP rules: one port, a range, 1024 and above, any.
    pub(super) dst_ports: [usize; 4],
    /// How many single ports there are to choose from, and a third as many ranges.
    pub(super) ports: usize,
    pub(super) order: Order,
}

/// The addresses one side of the rules names.
pub(super) struct Side {
    /// How many prefixes there are to choose from, for a hundred rules.
    pub(super) prefixes: usize,
    /// Percentages of prefix lengths, widest first: weight, length in IPv4, length in IPv6.
    pub(super) lengths: &'static [(usize, u8, u8)],
    /// Percentage of prefixes that lie within a wider one of the side.
    pub(super) nested: usize,
}

/// How the rules are ordered. Rules that state no address always come last.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Order {
    /// Fewer addresses first.
    NarrowFirst,
    /// Sections of 500 rules, each with fewer addresses first: wide rules above narrow ones.
    Sections,
}

pub(super) const ACCESS_LIST: Statistics = Statistics {
    sides: [96, 3, 1, 0],
    src: Side {
        prefixes: 100,
        lengths: &[(6, 23, 56), (2, 30, 124), (4, 31, 127), (88, 32, 128)],
        nested: 95,
    },
    dst: Side {
        prefixes: 8,
        lengths: &[(2, 16, 48), (7, 22, 56), (4, 24, 64), (3, 30, 124), (84, 32, 128)],
        nested: 95,
    },
    repeated: 30,
    protocols: [87, 1, 3, 0, 9],
    src_ports: [0, 0, 0, 100],
    dst_ports: [67, 13, 0, 20],
    ports: 80,
    order: Order::NarrowFirst,
};

pub(super) const BRANCH_ACCESS_LIST: Statistics = Statistics {
    sides: [70, 10, 18, 2],
    src: Side {
        prefixes: 20,
        lengths: &[(5, 8, 32), (10, 16, 48), (15, 20, 52), (30, 24, 64), (40, 32, 128)],
        nested: 80,
    },
    dst: Side {
        prefixes: 40,
        lengths: &[(5, 12, 36), (10, 16, 48), (10, 22, 60), (20, 27, 64), (55, 32, 128)],
        nested: 80,
    },
    repeated: 50,
    protocols: [65, 22, 4, 0, 9],
    src_ports: [2, 0, 8, 90],
    dst_ports: [55, 20, 10, 15],
    ports: 400,
    order: Order::Sections,
};

pub(super) const PERIMETER: Statistics = Statistics {
    sides: [15, 24, 59, 2],
    src: Side {
        prefixes: 400,
        lengths: &[(2, 12, 32), (8, 22, 56), (5, 26, 60), (9, 28, 64), (10, 30, 64), (66, 32, 128)],
        nested: 10,
    },
    dst: Side {
        prefixes: 500,
        lengths: &[(3, 21, 48), (3, 28, 64), (2, 30, 124), (92, 32, 128)],
        nested: 0,
    },
    repeated: 1,
    protocols: [59, 31, 4, 5, 1],
    src_ports: [16, 0, 9, 75],
    dst_ports: [69, 0, 9, 22],
    ports: 40,
    order: Order::NarrowFirst,
};

pub(super) const NESTED_PERIMETER: Statistics = Statistics {
    sides: [42, 26, 30, 2],
    src: Side {
        prefixes: 30,
        lengths: &[
            (4, 8, 24),
            (6, 12, 32),
            (10, 16, 40),
            (15, 20, 48),
            (20, 24, 56),
            (15, 28, 64),
            (30, 32, 128),
        ],
        nested: 95,
    },
    dst: Side {
        prefixes: 30,
        lengths: &[
            (4, 10, 28),
            (8, 14, 36),
            (12, 18, 44),
            (20, 22, 52),
            (16, 26, 60),
            (10, 29, 64),
            (30, 32, 128),
        ],
        nested: 95,
    },
    repeated: 25,
    protocols: [55, 25, 5, 2, 13],
    src_ports: [10, 2, 18, 70],
    dst_ports: [50, 15, 12, 23],
    ports: 200,
    order: Order::Sections,
};

pub(super) const CHAIN: Statistics = Statistics {
    sides: [88, 5, 7, 0],
    src: Side {
        prefixes: 16,
        lengths: &[
            (5, 16, 48),
            (2, 17, 52),
            (13, 23, 56),
            (28, 24, 64),
            (7, 26, 64),
            (3, 28, 120),
            (42, 32, 128),
        ],
        nested: 85,
    },
    dst: Side {
        prefixes: 30,
        lengths: &[
            (8, 16, 48),
            (3, 23, 56),
            (26, 24, 64),
            (10, 26, 64),
            (4, 28, 120),
            (49, 32, 128),
        ],
        nested: 85,
    },
    repeated: 25,
    protocols: [29, 39, 1, 1, 30],
    src_ports: [23, 3, 1, 73],
    dst_ports: [56, 4, 9, 31],
    ports: 45,
    order: Order::NarrowFirst,
};

pub(super) const COARSE_CHAIN: Statistics = Statistics {
    sides: [75, 10, 13, 2],
    src: Side {
        prefixes: 5,
        lengths: &[(15, 8, 32), (25, 16, 48), (20, 20, 52), (25, 24, 64), (15, 28, 120)],
        nested: 90,
    },
    dst: Side {
        prefixes: 60,
        lengths: &[(10, 12, 40), (20, 18, 50), (20, 22, 56), (20, 25, 64), (30, 32, 128)],
        nested: 90,
    },
    repeated: 60,
    protocols: [48, 40, 4, 3, 5],
    src_ports: [35, 5, 10, 50],
    dst_ports: [45, 15, 15, 25],
    ports: 120,
    order: Order::NarrowFirst,
};
