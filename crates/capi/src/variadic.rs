//! C functions with a variable number of arguments. Rust cannot define them yet, so a few instructions keep the registers in which arguments may
//! have come, and call a Rust function that reads them one after another. Numbers and pointers only.

/// The arguments of a variadic C function, one after another, from its first on.
#[derive(Debug)]
pub(crate) struct Arguments {
    registers: *const u64,
    /// How many of them were not read.
    in_registers: usize,
    stack: *const u64,
}

/// How many arguments come in registers.
#[cfg(all(target_arch = "x86_64", not(windows)))]
const REGISTERS: usize = 6;
/// How many arguments come in registers.
#[cfg(target_arch = "aarch64")]
const REGISTERS: usize = 8;

impl Arguments {
    /// # Safety
    /// Both came from a trampoline of [`variadic`].
    pub(crate) unsafe fn new(registers: *const u64, stack: *const u64) -> Self {
        Self { registers, in_registers: REGISTERS, stack }
    }

    /// The next argument, whatever its type: what is narrower is in the low bits, with anything above.
    ///
    /// # Safety
    /// The caller gave one more.
    pub(crate) unsafe fn next(&mut self) -> u64 {
        // SAFETY: the registers were kept where this points to, and behind them the caller's stack has what did not fit.
        unsafe {
            if let Some(left) = self.in_registers.checked_sub(1) {
                self.in_registers = left;
                let word = self.registers.read();
                self.registers = self.registers.add(1);
                word
            } else {
                let word = self.stack.read();
                self.stack = self.stack.add(1);
                word
            }
        }
    }

    /// The next argument where it is an `int` or `int32_t`.
    ///
    /// # Safety
    /// As for [`Self::next`].
    pub(crate) unsafe fn next_int(&mut self) -> i32 {
        // SAFETY: the caller vouches for it. The upper half is not part of the argument.
        (unsafe { self.next() } & 0xffff_ffff) as u32 as i32
    }

    /// The next argument where it is an `int64_t`.
    ///
    /// # Safety
    /// As for [`Self::next`].
    pub(crate) unsafe fn next_long(&mut self) -> i64 {
        // SAFETY: the caller vouches for it.
        unsafe { self.next() }.cast_signed()
    }

    /// The next argument where it is a `size_t`.
    ///
    /// # Safety
    /// As for [`Self::next`].
    pub(crate) unsafe fn next_size(&mut self) -> usize {
        // SAFETY: the caller vouches for it. Pointers and sizes have 64 bits here.
        unsafe { self.next() as usize }
    }

    /// The next argument where it is a pointer.
    ///
    /// # Safety
    /// As for [`Self::next`].
    pub(crate) unsafe fn next_pointer<T>(&mut self) -> *mut T {
        // SAFETY: the caller vouches for it. It is the program's address.
        std::ptr::with_exposed_provenance_mut(unsafe { self.next_size() })
    }
}

/// Defines an exported variadic function `$name`, whose arguments `$target(registers, stack)` reads.
macro_rules! variadic {
    ($(#[$meta:meta])* $name:ident => $target:ident -> $answer:ty) => {
        $(#[$meta])*
        #[cfg(all(target_arch = "x86_64", not(windows)))]
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() -> $answer {
            // Six words, one more to keep the stack aligned; above them the return address, and then the caller's arguments.
            std::arch::naked_asm!(
                "sub rsp, 56",
                "mov [rsp], rdi",
                "mov [rsp + 8], rsi",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], rcx",
                "mov [rsp + 32], r8",
                "mov [rsp + 40], r9",
                "mov rdi, rsp",
                "lea rsi, [rsp + 64]",
                "call {target}",
                "add rsp, 56",
                "ret",
                target = sym $target,
            )
        }

        $(#[$meta])*
        #[cfg(target_arch = "aarch64")]
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() -> $answer {
            std::arch::naked_asm!(
                "stp x29, x30, [sp, #-80]!",
                "mov x29, sp",
                "stp x0, x1, [sp, #16]",
                "stp x2, x3, [sp, #32]",
                "stp x4, x5, [sp, #48]",
                "stp x6, x7, [sp, #64]",
                "add x0, sp, #16",
                "add x1, sp, #80",
                "bl {target}",
                "ldp x29, x30, [sp], #80",
                "ret",
                target = sym $target,
            )
        }
    };
}

pub(crate) use variadic;

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macro makes exports")]

    use super::*;

    unsafe extern "C" fn sum_of(registers: *const u64, stack: *const u64) -> i64 {
        // SAFETY: the test gives a count, and as many numbers.
        unsafe {
            let mut arguments = Arguments::new(registers, stack);
            let count = arguments.next_int();
            (0..count).map(|at| arguments.next_long() * i64::from(at + 1)).sum()
        }
    }

    variadic! {
        /// For the test.
        felice_test_sum_of_all => sum_of -> i64
    }

    #[test]
    fn arguments_come_in_order_from_registers_and_stack() {
        type Variadic = unsafe extern "C" fn(i32, ...) -> i64;
        // SAFETY: this is how C sees it.
        let function =
            unsafe { std::mem::transmute::<unsafe extern "C" fn() -> i64, Variadic>(felice_test_sum_of_all) };
        // SAFETY: ten numbers, as the first says.
        let sum = unsafe { function(10, 1_i64, 2_i64, 3_i64, 4_i64, 5_i64, 6_i64, 7_i64, 8_i64, 9_i64, -10_i64) };
        assert_eq!(sum, (1..10).map(|n| n * n).sum::<i64>() - 100);
    }
}
