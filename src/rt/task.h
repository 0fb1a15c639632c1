// The coroutine type of the project and how cancellation works in it.
//
// Task<Result<T>> is what can fail; Task<> what cannot. A cancelled task's current await, and every
// later one, throws; the exception unwinds the coroutine and ends in its TaskScope, which swallows
// it. So clean-up is what destructors do, and it must not need to wait. Do not catch (...) around
// an await without rethrowing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace selvage::rt {

using Executor = boost::asio::any_io_executor;

template <class T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace selvage::rt
